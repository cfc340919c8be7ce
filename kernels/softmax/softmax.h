// softmax: the contrastive loss of a batch against all items, or against the batch's own positives,
// and its gradients.
//
//   s_bi   = n_user(b) . n_item(i)
//   c_bi   : how often item i stands against row b's positive; 1 at the positive itself
//   loss   = 1/B sum_b [ log sum_i c_bi exp(s_bi / tau) - s_b,pos / tau ]
//   p_bi   = c_bi exp(s_bi / tau) / sum_l c_bl exp(s_bl / tau)
//   grad_score_bi = p_bi / (tau B),  i != pos;   grad_score_b,pos = -(sum_{i != pos} p_bi) / (tau B)
//   grad_row_b    = sum_i grad_score_bi n_item(i)           [batch, dim]
//   grad_item[i]  = sum_b grad_score_bi n_user(b)           [items, dim]
//
//   softmax           c_bi = 1: all items stand against the positive, those she has among them
//   in_batch_softmax  c_bi = |{b' : pos(b') = i}|, and 0 where i is among her training items: the
//                     other rows' positives, each as often as it stands there, but her own items.
//                     A row that this leaves nothing has loss 0 and gradient 0.
//
// Of several domains, the items of the row's own alone stand against her positive, in both.
//
// The batch's sampled negatives are not looked at. Scores are made a tile at a time, twice, and
// dropped: batch x items never exists. The users' gradients are sums of rows: user_gradient in
// kernels/batch_gradient.
//
// A log-sum-exp with the row's maximum taken out: finite for every tau > 0. The positive's
// derivative is the sum of the others', not p - 1, which loses its digits as p nears 1.
//
// Repeatable: yes, for any number of threads.
// Why it works: docs/kernels/softmax.md   Test: tests/kernels/test_softmax.cpp
// Speed: bench/kernels/bench_softmax.cpp
#pragma once
#include <cstddef>

#include "kernels/common/check.h"
#include "kernels/common/domains.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

// Rows stand in the batch's order where there is one domain, and by user where there are several.
inline bool are_several(VectorView<const DomainStart> domains) { return domains.size > 2; }

// f(domain's start, its end) for each; for all users and items at once where there is one.
template <class F>
void for_each_domain(VectorView<const DomainStart> domains, int64_t users, int64_t items, F f) {
  if (domains.size == 0) f(DomainStart{}, DomainStart{users, items});
  for (int64_t d = 0; d + 1 < domains.size; ++d) f(domains[d], domains[d + 1]);
}

struct SoftmaxGradientView {
  MatrixView<float> user_row;   // [batch, dim]: d loss / d n_user(b), one row's own share
  VectorView<double> row_loss;  // [batch]: the row's term, before the division by B
  MatrixView<float> item;       // [items, dim]: d loss / d n_item
};

// domains (host): [domains + 1], or empty where there is one.
inline void require_softmax(MatrixView<const float> user, MatrixView<const float> item,
                            const BatchView& batch, VectorView<const DomainStart> domains,
                            float tau, const SoftmaxGradientView& grad) {
  require(tau > 0.0f, "softmax: tau must be greater than 0");
  require(user.cols == item.cols, "softmax: users and items must have the same width");
  require(batch.positive.size == batch.rows(), "softmax: one positive per batch row");
  require(grad.user_row.rows == batch.rows() && grad.user_row.cols == user.cols,
          "softmax: row gradients must be [batch, dim]");
  require(grad.row_loss.size == batch.rows(), "softmax: one loss per batch row");
  require(grad.item.rows == item.rows && grad.item.cols == item.cols,
          "softmax: the items' gradient must have the items' shape");
  if (domains.size == 0) return;
  const DomainStart& last = domains[domains.size - 1];
  require(domains[0].user == 0 && domains[0].item == 0 && last.user == user.rows &&
              last.item == item.rows,
          "softmax: the domains must hold all users and all items");
  require(!are_several(domains) ||
              (batch.user_start.size == user.rows + 1 && batch.user_row.size == batch.rows()),
          "softmax: the batch's grouping must cover all users");
}

inline void require_in_batch_softmax(MatrixView<const float> user, MatrixView<const float> item,
                                     const BatchView& batch, CsrView items_of_user,
                                     VectorView<const DomainStart> domains, float tau,
                                     const SoftmaxGradientView& grad) {
  require_softmax(user, item, batch, domains, tau, grad);
  require(items_of_user.rows == user.rows && items_of_user.cols == item.rows,
          "softmax: the items of users must be of these users and items");
  require(batch.item_start.size == item.rows + 1 &&
              batch.item_use.size == batch.rows() * (1 + batch.negatives()),
          "softmax: the batch's grouping must cover all items, and every positive and negative");
}

namespace cpu {

// user [users, dim], item [items, dim]: the vectors scores are taken of (unit rows for cosine).
// domains (host) [domains + 1], empty: one. grad overwritten. Returns the loss (mean over the batch),
// 0 without rows.
double softmax(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
               VectorView<const DomainStart> domains, float tau, const SoftmaxGradientView& grad);
// The same against the batch's positives. items_of_user [users, items]: training interactions.
double in_batch_softmax(MatrixView<const float> user, MatrixView<const float> item,
                        const BatchView& batch, CsrView items_of_user,
                        VectorView<const DomainStart> domains, float tau,
                        const SoftmaxGradientView& grad);
// Bytes that they take for themselves while they run, with the threads in use.
int64_t softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim);
int64_t in_batch_softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim);

}  // namespace cpu
namespace cuda {

// As above; the loss is added to *loss_sum, which lies in device memory.
void softmax(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             VectorView<const DomainStart> domains, float tau, const SoftmaxGradientView& grad,
             double* loss_sum, VectorView<std::byte> scratch, Stream stream);
void in_batch_softmax(MatrixView<const float> user, MatrixView<const float> item,
                      const BatchView& batch, CsrView items_of_user,
                      VectorView<const DomainStart> domains, float tau,
                      const SoftmaxGradientView& grad, double* loss_sum,
                      VectorView<std::byte> scratch, Stream stream);
int64_t softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim,
                              VectorView<const DomainStart> domains);
int64_t in_batch_softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim,
                                       VectorView<const DomainStart> domains);

}  // namespace cuda
}  // namespace rec
