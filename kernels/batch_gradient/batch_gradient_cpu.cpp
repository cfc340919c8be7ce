#include "kernels/batch_gradient/batch_gradient.h"

#include <algorithm>

#include "kernels/common/row_ops.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int64_t kUsesAtOnce = 512;  // summed at once: 4 KB of weights and user ids in L1
constexpr int64_t kColumnsAtOnce = 256;
constexpr int kNodesPerTurn = 16;  // a thread's turn: popular items have longer lists

// weight[k] = score[use[k]], user[k] = batch_user[use[k] / slots]
REC_SIMD_CLONES void gather_uses(const int32_t* use, int64_t count, int32_t slots,
                                 const float* score, const int32_t* batch_user, float* weight,
                                 int32_t* user) {
  // A double's quotient of two 31-bit integers, rounded, never reaches the next integer.
  const double divisor = slots;
#pragma omp simd
  for (int64_t k = 0; k < count; ++k) {
    weight[k] = score[use[k]];
    user[k] = batch_user[int32_t(double(use[k]) / divisor)];
  }
}

// sum[c] = sum over uses, in runs of kUsesAtOnce, of score[use] * user[batch_user[use / slots], c]
void sum_uses(const int32_t* use, int64_t uses, int32_t slots, const float* score,
              const int32_t* batch_user, MatrixView<const float> user, float* sum) {
  float weight[kUsesAtOnce];
  int32_t used_by[kUsesAtOnce];
  float run[kColumnsAtOnce];
  std::fill_n(sum, user.cols, 0.0f);
  for (int64_t first = 0; first < uses; first += kUsesAtOnce) {
    const int64_t count = std::min(kUsesAtOnce, uses - first);
    gather_uses(use + first, count, slots, score, batch_user, weight, used_by);
    for (int64_t c = 0; c < user.cols; c += kColumnsAtOnce) {
      const int64_t width = std::min(kColumnsAtOnce, user.cols - c);
      weighted_sum_of_rows(user.cols_from(c, width), used_by, weight, count, run);
      add_scaled(1.0f, run, sum + c, width);
    }
  }
}

// Shares the users out among the threads of a region.
void sum_users(const CsrView& rows_of_user, MatrixView<const float> user_row,
               MatrixView<float> grad_user) {
#pragma omp for schedule(dynamic, kNodesPerTurn) nowait
  for (int64_t u = 0; u < grad_user.rows; ++u)
    sum_of_rows(user_row, rows_of_user.row(u), rows_of_user.degree(u), grad_user.row(u));
}

}  // namespace

void batch_gradient(MatrixView<const float> user, const BatchView& batch,
                    const BatchGradientView& grad, MatrixView<float> grad_user,
                    MatrixView<float> grad_item) {
  require_batch_gradient_shapes(user, batch, grad, grad_user, grad_item);
  const CsrView uses_of_item = batch.uses_of_item();
  const int32_t slots = int32_t(1 + batch.negatives());

#pragma omp parallel
  {
#pragma omp for schedule(dynamic, kNodesPerTurn) nowait
    for (int64_t i = 0; i < grad_item.rows; ++i)
      sum_uses(uses_of_item.row(i), uses_of_item.degree(i), slots, grad.score.data, batch.user.data,
               user, grad_item.row(i));
    sum_users(batch.rows_of_user(), grad.user_row, grad_user);
  }
}

void user_gradient(const BatchView& batch, MatrixView<const float> user_row,
                   MatrixView<float> grad_user) {
  require_user_gradient_shapes(batch, user_row, grad_user);
#pragma omp parallel
  sum_users(batch.rows_of_user(), user_row, grad_user);
}

}  // namespace rec::cpu
