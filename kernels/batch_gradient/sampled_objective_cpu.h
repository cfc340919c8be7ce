// What every objective with sampled negatives does around its own formula, once a batch row: score
// the row's items, let the objective turn the scores into derivatives, sum the items by them.
#pragma once
#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec::cpu {

// row_objective(score): score [1 + negatives], s_bj on entry, d loss / d s_bj on return; gives the
// row's loss. Called from several threads. grad overwritten.
// Returns the mean of the rows' losses, 0 without rows.
template <class RowObjective>
double sampled_objective(MatrixView<const float> user, MatrixView<const float> item,
                         const BatchView& batch, const BatchGradientView& grad,
                         RowObjective row_objective) {
  require_objective_shapes(user, item, batch, grad);
  const int64_t rows = batch.rows(), negatives = batch.negatives(), dim = user.cols;
  if (rows == 0) return 0.0;

#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < rows; ++b) {
    const float* u = user.row(batch.user[b]);
    const float* positive = item.row(batch.positive[b]);
    const int32_t* negative = batch.negative.row(b);
    float* score = grad.score.row(b);
    float* user_row = grad.user_row.row(b);
    score[0] = dot(u, positive, dim);
    dots_with_rows(u, item, negative, negatives, score + 1);
    grad.row_loss[b] = row_objective(score);
    weighted_sum_of_rows(item, negative, score + 1, negatives, user_row);
    add_scaled(score[0], positive, user_row, dim);
  }

  double loss = 0.0;
  for (double row_loss : grad.row_loss) loss += row_loss;
  return loss / double(rows);
}

}  // namespace rec::cpu
