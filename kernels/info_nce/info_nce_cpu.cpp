#include "kernels/info_nce/info_nce.h"

#include <cmath>

#include "kernels/batch_gradient/sampled_objective_cpu.h"
#include "kernels/common/exp.h"
#include "kernels/common/row_ops.h"

namespace rec::cpu {
namespace {

// Gives the row's loss. score [count]: s_j on entry, gradient_scale * d loss / d (s_j / tau) after.
double contrast_row(float* score, int64_t count, double inverse_tau, double gradient_scale) {
  const float largest = largest_of(score, count), factor = float(inverse_tau);
  const double below_largest = (double(largest) - score[0]) * inverse_tau;
  const double positive = exp_of_nonpositive((score[0] - largest) * factor);
  const double negatives = exp_weights(score + 1, count - 1, largest, factor);

  const double scale = gradient_scale / (positive + negatives);
  scale_row(float(scale), score + 1, score + 1, count - 1);
  score[0] = float(-negatives * scale);
  // Where the positive is the largest, positive - 1 is exactly 0 and no digit of the loss is lost.
  return below_largest + std::log1p(negatives + (positive - 1.0));
}

}  // namespace

double info_nce(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
                float tau, const BatchGradientView& grad) {
  require_info_nce(tau);
  const TemperatureScales scales = temperature_scales(tau, batch.rows());
  const int64_t count = 1 + batch.negatives();
  return sampled_objective(user, item, batch, grad, [=](float* score) {
    return contrast_row(score, count, scales.inverse_tau, scales.gradient);
  });
}

}  // namespace rec::cpu
