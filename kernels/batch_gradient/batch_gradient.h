// batch_gradient: from the derivative by each score of a batch to the gradient of every node.
//
//   grad_user[u] = sum over batch rows b of u:   user_row[b]
//   grad_item[i] = sum over uses (b, slot) of i: score[b, slot] * user[user(b)]
//
// Nodes that the batch does not touch get 0. A segmented sum over the batch's groupings: one owner
// adds each node's terms in an order that the length of its list fixes, so no atomics and the same
// bits for any number of threads.
//
// Why it works: docs/kernels/batch_gradient.md   Test: tests/kernels/test_batch_gradient.cpp
// Speed: bench/kernels/bench_batch_gradient.cpp
#pragma once
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

// What an objective makes of a batch: the same for every objective with sampled negatives.
struct BatchGradientView {
  MatrixView<float> score;      // [batch, 1 + negatives]: d loss / d s_bj
  MatrixView<float> user_row;   // [batch, dim]: d loss / d n_user(b), one row's own share
  VectorView<double> row_loss;  // [batch]: the row's term, before the division by B
};

inline void require_objective_shapes(MatrixView<const float> user, MatrixView<const float> item,
                                     const BatchView& batch, const BatchGradientView& grad) {
  require(user.cols == item.cols, "objective: users and items must have the same width");
  require(grad.score.rows == batch.rows() && grad.score.cols == 1 + batch.negatives(),
          "objective: score gradients must be [batch, 1 + negatives]");
  require(grad.user_row.rows == batch.rows() && grad.user_row.cols == user.cols,
          "objective: row gradients must be [batch, dim]");
  require(grad.row_loss.size == batch.rows(), "objective: one loss per batch row");
}

inline void require_user_gradient_shapes(const BatchView& batch, MatrixView<const float> user_row,
                                         MatrixView<const float> grad_user) {
  require(grad_user.rows + 1 == batch.user_start.size,
          "batch_gradient: the batch's groupings must cover all users");
  require(user_row.rows == batch.rows() && user_row.cols == grad_user.cols,
          "batch_gradient: row gradients must be [batch, dim]");
}

inline void require_batch_gradient_shapes(MatrixView<const float> user, const BatchView& batch,
                                          const BatchGradientView& grad,
                                          MatrixView<const float> grad_user,
                                          MatrixView<const float> grad_item) {
  require(grad_user.rows == user.rows && grad_user.cols == user.cols,
          "batch_gradient: the users' gradient must have the users' shape");
  require(grad_item.cols == user.cols, "batch_gradient: items must have the users' width");
  require_user_gradient_shapes(batch, grad.user_row, grad_user);
  require(grad_item.rows + 1 == batch.item_start.size,
          "batch_gradient: the batch's groupings must cover all items");
  require(grad.score.rows == batch.rows() && grad.score.cols == 1 + batch.negatives() &&
              grad.score.stride == grad.score.cols,
          "batch_gradient: score gradients must be contiguous [batch, 1 + negatives]");
}

namespace cpu {

// user [users, dim]; grad from an objective;
// grad_user [users, dim] and grad_item [items, dim] overwritten.
void batch_gradient(MatrixView<const float> user, const BatchView& batch,
                    const BatchGradientView& grad, MatrixView<float> grad_user,
                    MatrixView<float> grad_item);
// The users' half alone, for objectives that make the items' themselves.
void user_gradient(const BatchView& batch, MatrixView<const float> user_row,
                   MatrixView<float> grad_user);

}  // namespace cpu
namespace cuda {

void batch_gradient(MatrixView<const float> user, const BatchView& batch,
                    const BatchGradientView& grad, MatrixView<float> grad_user,
                    MatrixView<float> grad_item, Stream stream);
void user_gradient(const BatchView& batch, MatrixView<const float> user_row,
                   MatrixView<float> grad_user, Stream stream);

}  // namespace cuda
}  // namespace rec
