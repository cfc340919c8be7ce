#include "bench/harness.h"
#include "kernels/sampler/sampler.h"

namespace rec::bench {
namespace {

template <SamplingRule rule>
void draw(benchmark::State& state, const Shape& shape, Place& place) {
  const SamplerTables tables = place.put(tables_of(shape, rule));
  test::HostBatch room = empty_batch(shape, shape.negatives);
  const BatchView batch = place.put(room.view());
  TrainingClock clock;
  clock.seed = 7;
  const TrainingClock* const clock_there =
      place.put(VectorView<const TrainingClock>(&clock, 1)).data;
  // Every draw is written once (4 bytes), read by both passes of the counting sort (8) and placed
  // (4): 16 bytes a draw, of which batch * (1 + negatives) by item; rows by user are 1 / (1 +
  // negatives) of it. Philox and the binary searches work on values in registers and L1, so the
  // time above this floor is arithmetic, which no limit here counts.
  const double draws = double(shape.batch) * double(1 + shape.negatives);
  const Work work{.bytes = 16.0 * draws, .flops = 0, .limit = Limit::copy_of(8.0 * draws)};
  const VectorView<std::byte> scratch = place.gpu_scratch(
      [&](auto) { return cuda::draw_batch_scratch_bytes(shape.batch, shape.negatives); });
  measure(
      state, work, place,
      [&] {
        cpu::draw_batch(tables, clock, 0, batch);
        clock.step = (clock.step + 1) % (shape.edges / shape.batch);
      },
      [&](auto stream) { cuda::draw_batch(tables, clock_there, 0, batch, scratch, stream); });
}

[[maybe_unused]] const bool user_added = add_kernel_bench("sampler/user", draw<SamplingRule::user>);
[[maybe_unused]] const bool interaction_added =
    add_kernel_bench("sampler/interaction", draw<SamplingRule::interaction>);

}  // namespace
}  // namespace rec::bench
