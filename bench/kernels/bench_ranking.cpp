#include <vector>

#include "bench/harness.h"
#include "bench/ranking_case.h"
#include "kernels/ranking/ranking.h"

namespace rec::bench {
namespace {

template <int k, Precision precision = Precision::fp32>
void rank_all(benchmark::State& state, const Shape& shape, Place& place) {
  const RankingCase all(shape, place);
  HostMatrix scores(shape.users, k);
  std::vector<int32_t> items(static_cast<size_t>(shape.users * k));
  const MatrixView<float> top_score = place.put(scores.view());
  const MatrixView<int32_t> top_item = place.put(MatrixView<int32_t>(items.data(), shape.users, k));
  // Every score is dim multiplications and additions; nothing else is a flop. A tile of scores is
  // made and used up in a cache (a thread's on the CPU: 48 lists x up to 5120 items) or in
  // registers (a block's on a GPU): only the vectors are counted.
  const double flops = 2.0 * double(shape.users) * double(shape.items) * double(shape.dim);
  const double bytes = 4.0 * double(shape.nodes()) * double(shape.dim);
  const VectorView<std::byte> scratch = place.gpu_scratch([&](auto) {
    return cuda::rank_scratch_bytes(shape.users, shape.items, shape.dim, k, precision);
  });
  measure(
      state, {.bytes = bytes, .flops = flops, .limit = Limit::sgemm()}, place,
      [&] { cpu::rank(all.request, top_item, top_score); },
      [&](auto stream) {
        cuda::rank(all.request, top_item, top_score, scratch, precision, stream);
      });
}

[[maybe_unused]] const bool added_20 = add_kernel_bench("ranking/k=20", rank_all<20>);
[[maybe_unused]] const bool added_1000 = add_kernel_bench("ranking/k=1000", rank_all<1000>);
[[maybe_unused]] const bool added_tf32 =
    add_gpu_bench("ranking/k=20/tf32", rank_all<20, Precision::tf32>);
[[maybe_unused]] const bool added_bf16 =
    add_gpu_bench("ranking/k=20/bf16", rank_all<20, Precision::bf16>);

}  // namespace
}  // namespace rec::bench
