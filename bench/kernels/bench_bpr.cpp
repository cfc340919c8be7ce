#include "bench/harness.h"
#include "kernels/bpr/bpr.h"

namespace rec::bench {
namespace {

void bpr(benchmark::State& state, const Shape& shape) {
  HostMatrix user = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix item = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  test::HostBatch batch = drawn_batch(shape, 1);
  test::HostBatchGradient grad(batch, shape.dim, /*score_padding=*/0);
  // A batch row reads two item rows twice (the second time from L1) and one user row, and writes
  // one row, two scores and a loss: 6 rows, three ids, 16 bytes.
  const double rows = double(shape.batch), row_bytes = 4.0 * double(shape.dim);
  const Work work{.bytes = rows * (6.0 * row_bytes + 28.0),
                  .flops = rows * 8.0 * double(shape.dim),
                  .limit = Limit::gather(row_bytes, row_bytes * double(shape.nodes()))};
  measure(state, work, [&] {
    benchmark::DoNotOptimize(cpu::bpr(user.view(), item.view(), batch.view(), grad.view()));
  });
}

[[maybe_unused]] const bool added = add_kernel_bench("bpr", bpr);

}  // namespace
}  // namespace rec::bench
