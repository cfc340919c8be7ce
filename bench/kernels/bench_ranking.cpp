#include <numeric>
#include <vector>

#include "bench/harness.h"
#include "kernels/ranking/ranking.h"

namespace rec::bench {
namespace {

template <int k>
void rank_all(benchmark::State& state, const Shape& shape) {
  HostMatrix user = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix item = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  std::vector<int32_t> everyone(static_cast<size_t>(shape.users));
  std::iota(everyone.begin(), everyone.end(), 0);
  HostMatrix score(shape.users, k);
  std::vector<int32_t> best(static_cast<size_t>(shape.users * k));
  RankingRequest request;
  request.user = user.view();
  request.item = item.view();
  request.user_row = request.user_id = {everyone.data(), shape.users};
  request.mask[0] = graph_of(shape).view().items_of_user;
  request.masks = 1;
  // Every score is dim multiplications and additions; nothing else is a flop. A thread's tile of
  // scores, 48 lists x up to 5120 items, is made and used up in L2: only the vectors are counted.
  const double flops = 2.0 * double(shape.users) * double(shape.items) * double(shape.dim);
  const double bytes = 4.0 * double(shape.nodes()) * double(shape.dim);
  measure(state, {.bytes = bytes, .flops = flops, .limit = Limit::sgemm()}, [&] {
    cpu::rank(request, {best.data(), shape.users, k}, score.view());
  });
}

[[maybe_unused]] const bool added_20 = add_kernel_bench("ranking/k=20", rank_all<20>);
[[maybe_unused]] const bool added_1000 = add_kernel_bench("ranking/k=1000", rank_all<1000>);

}  // namespace
}  // namespace rec::bench
