// bpr: the pairwise loss of a batch and its derivative by every score.
//
//   s_bj  = n_user(b) . n_item(b, j)                j = 0 the positive, 1 the negative (one a row)
//   loss  = 1/B sum_b softplus(s_b1 - s_b0)
//   grad_score_b1 = sigmoid(s_b1 - s_b0) / B,       grad_score_b0 = -grad_score_b1
//   grad_row_b    = sum_j grad_score_bj n_item(b, j)    [batch, dim]
//
// Repeatable: yes, for any number of threads.  Why it works: docs/kernels/bpr.md
// Test: tests/kernels/test_bpr.cpp   Speed: bench/kernels/bench_bpr.cpp
#pragma once
#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

inline void require_bpr(const BatchView& batch) {
  require(batch.negatives() == 1, "bpr: takes exactly one negative a row");
}

namespace cpu {

// user [users, dim], item [items, dim]; grad overwritten. Returns the loss (mean over the batch).
double bpr(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
           const BatchGradientView& grad);

}  // namespace cpu
namespace cuda {

// As above; the loss is added to *loss_sum, which lies in device memory.
void bpr(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
         const BatchGradientView& grad, double* loss_sum, Stream stream);

}  // namespace cuda
}  // namespace rec
