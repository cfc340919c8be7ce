// info_nce: the sampled contrastive loss of a batch and its derivative by every score.
//
//   s_bj   = n_user(b) . n_item(b, j)                 j = 0 the positive, 1 + k negative k
//   loss   = 1/B sum_b [ log sum_j exp(s_bj / tau) - s_b0 / tau ]
//   p_bj   = softmax_j(s_bj / tau)
//   grad_score_bj = p_bj / (tau B),  j >= 1;     grad_score_b0 = -(sum_{j >= 1} p_bj) / (tau B)
//   grad_row_b    = sum_j grad_score_bj n_item(b, j)    [batch, dim]
//
// A log-sum-exp with the row's maximum taken out: finite for every tau > 0. The positive's
// derivative is the sum of the negatives', not p - 1, which loses its digits as p nears 1.
// Sums over rows give the users' and items' gradients: kernels/batch_gradient.
//
// Repeatable: yes, for any number of threads (row losses are added in a fixed order, in double).
// Why it works: docs/kernels/info_nce.md   Test: tests/kernels/test_info_nce.cpp
// Speed: bench/kernels/bench_info_nce.cpp
#pragma once
#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/temperature.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

inline void require_info_nce(float tau) {
  require(tau > 0.0f, "info_nce: tau must be greater than 0");
}

namespace cpu {

// user [users, dim], item [items, dim]: the vectors scores are taken of (unit rows for cosine).
// grad overwritten. Returns the loss (mean over the batch).
double info_nce(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
                float tau, const BatchGradientView& grad);

}  // namespace cpu
namespace cuda {

// As above; the loss is added to *loss_sum, which lies in device memory.
void info_nce(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
              float tau, const BatchGradientView& grad, double* loss_sum, Stream stream);

}  // namespace cuda
}  // namespace rec
