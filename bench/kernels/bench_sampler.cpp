#include "bench/harness.h"
#include "kernels/sampler/sampler.h"

namespace rec::bench {
namespace {

template <SamplingRule rule>
void draw(benchmark::State& state, const Shape& shape) {
  const SamplerTables tables = tables_of(shape, rule);
  test::HostBatch batch = empty_batch(shape, shape.negatives);
  TrainingClock clock;
  clock.seed = 7;
  // Every draw is written once (4 bytes), read by both passes of the counting sort (8) and placed
  // (4): 16 bytes a draw, of which batch * (1 + negatives) by item; rows by user are 1 / (1 +
  // negatives) of it. Philox and the binary searches work on values in registers and L1, so the
  // time above this floor is arithmetic, which no limit here counts.
  const double draws = double(shape.batch) * double(1 + shape.negatives);
  const Work work{.bytes = 16.0 * draws, .flops = 0, .limit = Limit::copy_of(8.0 * draws)};
  measure(state, work, [&] {
    cpu::draw_batch(tables, clock, batch.view());
    clock.step = (clock.step + 1) % (shape.edges / shape.batch);
  });
}

[[maybe_unused]] const bool user_added = add_kernel_bench("sampler/user", draw<SamplingRule::user>);
[[maybe_unused]] const bool interaction_added =
    add_kernel_bench("sampler/interaction", draw<SamplingRule::interaction>);

}  // namespace
}  // namespace rec::bench
