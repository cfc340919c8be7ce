// batch_l2: the squared lengths of the rows that a batch takes from a node table, as a penalty.
//
//   c_v      = how often the batch takes node v: as a user, a positive or a negative
//   loss    += weight / (2 B) sum_v c_v |x_v|^2
//   grad_v  += weight / B  c_v x_v
//
// LightGCN's regularisation (He et al., SIGIR 2020, their "decay"): of the rows of layer 0, not of
// what propagation makes of them, and of the batch's own alone. Rows that the batch does not touch
// keep their gradient.
//
// Repeatable: yes, for any number of threads.
// Why it works: docs/kernels/batch_l2.md   Test: tests/kernels/test_batch_l2.cpp
// Speed: bench/kernels/bench_batch_l2.cpp
#pragma once
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

// How often the batch takes node v: users first, then items.
constexpr int64_t times_taken(const BatchView& batch, int64_t v) {
  const int64_t users = batch.user_start.size - 1;
  return v < users ? batch.rows_of_user().degree(v) : batch.uses_of_item().degree(v - users);
}

inline void require_batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                             MatrixView<float> grad, VectorView<double> node_loss) {
  require(weight >= 0.0f, "batch_l2: the weight must not be negative");
  require(x.rows == (batch.user_start.size - 1) + (batch.item_start.size - 1),
          "batch_l2: the table must have a row for every user and every item of the batch");
  require(grad.rows == x.rows && grad.cols == x.cols,
          "batch_l2: the gradient must have the table's shape");
  require(node_loss.size == x.rows, "batch_l2: one loss per node");
  require(batch.rows() > 0, "batch_l2: a batch needs at least one row");
}

namespace cpu {

// x [nodes, dim], users' rows first; grad [nodes, dim] is added to; node_loss [nodes] overwritten
// (scratch). Returns the loss.
double batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                MatrixView<float> grad, VectorView<double> node_loss);

}  // namespace cpu
namespace cuda {

// As above; the loss is added to *loss_sum, which lies in device memory.
void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
              MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum,
              Stream stream);

}  // namespace cuda
}  // namespace rec
