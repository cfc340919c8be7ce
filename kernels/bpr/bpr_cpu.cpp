#include "kernels/bpr/bpr.h"

#include <algorithm>
#include <cmath>

#include "kernels/batch_gradient/sampled_objective_cpu.h"

namespace rec::cpu {

double bpr(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
           const BatchGradientView& grad) {
  require_bpr(batch);
  const double gradient_scale = 1.0 / double(batch.rows());
  return sampled_objective(user, item, batch, grad, [=](float* score) {
    const double margin = double(score[1]) - double(score[0]);
    const double small = std::exp(-std::abs(margin));  // at most 1: never overflows
    const double sigmoid = (margin < 0 ? small : 1.0) / (1.0 + small);
    score[1] = float(sigmoid * gradient_scale);
    score[0] = -score[1];
    return std::max(margin, 0.0) + std::log1p(small);
  });
}

}  // namespace rec::cpu
