#include <set>

#include "bench/harness.h"
#include "bench/softmax_case.h"

namespace rec::bench {
namespace {

// Scores are made twice, and once each multiplied by the items and by the users: four products of
// batch x items x dim. Users, items and their gradients are read and written once.
Work work_against(int64_t items, const Shape& shape, double further_bytes) {
  const double rows = double(shape.batch), dim = double(shape.dim);
  return {.bytes = 8.0 * dim * (rows + double(items)) + further_bytes,
          .flops = 8.0 * rows * double(items) * dim,
          .limit = Limit::sgemm()};
}

void softmax(benchmark::State& state, const Shape& shape, Place& place) {
  const SoftmaxCase c(shape, place);
  const VectorView<std::byte> scratch = place.gpu_scratch(
      [&](auto) { return cuda::softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {}); });
  measure(
      state, work_against(shape.items, shape, 0), place,
      [&] {
        benchmark::DoNotOptimize(cpu::softmax(c.user, c.item, c.batch, {}, kSoftmaxTau, c.grad));
      },
      [&](auto stream) {
        cuda::softmax(c.user, c.item, c.batch, {}, kSoftmaxTau, c.grad, c.loss_sum, scratch,
                      stream);
      });
}

void in_batch_softmax(benchmark::State& state, const Shape& shape, Place& place) {
  const SoftmaxCase c(shape, place);
  const CsrView items_of_user = place.put(graph_of(shape).view().items_of_user);
  const VectorView<std::byte> scratch = place.gpu_scratch([&](auto) {
    return cuda::in_batch_softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {});
  });
  // The batch's distinct positives stand for the items; each row's history is read once.
  const std::set<int32_t> candidates(c.drawn.positive.begin(), c.drawn.positive.end());
  double owned = 0;
  for (int32_t u : c.drawn.user) owned += double(graph_of(shape).view().items_of_user.degree(u));
  measure(
      state, work_against(int64_t(candidates.size()), shape, 4.0 * owned), place,
      [&] {
        benchmark::DoNotOptimize(
            cpu::in_batch_softmax(c.user, c.item, c.batch, items_of_user, {}, kSoftmaxTau, c.grad));
      },
      [&](auto stream) {
        cuda::in_batch_softmax(c.user, c.item, c.batch, items_of_user, {}, kSoftmaxTau, c.grad,
                               c.loss_sum, scratch, stream);
      });
}

[[maybe_unused]] const bool added = add_kernel_bench("softmax", softmax);
[[maybe_unused]] const bool in_batch_added = add_kernel_bench("softmax/in_batch", in_batch_softmax);

}  // namespace
}  // namespace rec::bench
