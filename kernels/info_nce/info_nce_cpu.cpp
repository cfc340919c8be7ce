#include "kernels/info_nce/info_nce.h"

#include <algorithm>
#include <cmath>

#include "kernels/batch_gradient/sampled_objective_cpu.h"
#include "kernels/common/exp.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

// In lanes: clang does not make SIMD of a maximum reduction of floats.
inline float largest_of(const float* x, int64_t count) {
  constexpr int64_t kLanes = 16;
  float largest[kLanes];
  std::fill_n(largest, kLanes, x[0]);
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      const float value = x[j + l];
      largest[l] = value > largest[l] ? value : largest[l];
    }
  }
  for (; j < count; ++j) largest[0] = std::max(largest[0], x[j]);
  return *std::max_element(largest, largest + kLanes);
}

// Gives the row's loss. score [count]: s_j on entry, gradient_scale * d loss / d (s_j / tau) after.
REC_SIMD_CLONES double contrast_row(float* score, int64_t count, double inverse_tau,
                                    double gradient_scale) {
  const float largest = largest_of(score, count);
  const double below_largest = (double(largest) - score[0]) * inverse_tau;
  const float factor = float(inverse_tau);
  const double positive = exp_of_nonpositive((score[0] - largest) * factor);
#pragma omp simd
  for (int64_t j = 1; j < count; ++j) score[j] = exp_of_nonpositive((score[j] - largest) * factor);
  double negatives = 0.0;
#pragma omp simd reduction(+ : negatives)
  for (int64_t j = 1; j < count; ++j) negatives += score[j];

  const double scale = gradient_scale / (positive + negatives);
  const float negative_scale = float(scale);
#pragma omp simd
  for (int64_t j = 1; j < count; ++j) score[j] *= negative_scale;
  score[0] = float(-negatives * scale);
  // Where the positive is the largest, positive - 1 is exactly 0 and no digit of the loss is lost.
  return below_largest + std::log1p(negatives + (positive - 1.0));
}

}  // namespace

double info_nce(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
                float tau, const BatchGradientView& grad) {
  require_info_nce(tau);
  const InfoNceScales scales = info_nce_scales(tau, batch.rows());
  const int64_t count = 1 + batch.negatives();
  return sampled_objective(user, item, batch, grad, [=](float* score) {
    return contrast_row(score, count, scales.inverse_tau, scales.gradient);
  });
}

}  // namespace rec::cpu
