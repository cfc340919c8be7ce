#include "bench/harness.h"
#include "kernels/bpr/bpr.h"

namespace rec::bench {
namespace {

void bpr(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix items = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  test::HostBatch drawn = drawn_batch(shape, 1);
  test::HostBatchGradient gradients(drawn, shape.dim, /*score_padding=*/0);
  double losses = 0;
  const MatrixView<const float> user = place.put(users.view()), item = place.put(items.view());
  const BatchView batch = place.put(drawn.view());
  const BatchGradientView grad = place.put(gradients.view());
  double* const loss_sum = place.put(VectorView<double>(&losses, 1)).data;
  // A batch row reads two item rows twice (the second time from L1) and one user row, and writes
  // one row, two scores and a loss: 6 rows, three ids, 16 bytes.
  const double rows = double(shape.batch), row_bytes = 4.0 * double(shape.dim);
  const Work work{.bytes = rows * (6.0 * row_bytes + 28.0),
                  .flops = rows * 8.0 * double(shape.dim),
                  .limit = Limit::gather(row_bytes, row_bytes * double(shape.nodes()))};
  measure(
      state, work, place, [&] { benchmark::DoNotOptimize(cpu::bpr(user, item, batch, grad)); },
      [&](auto stream) { cuda::bpr(user, item, batch, grad, loss_sum, stream); });
}

[[maybe_unused]] const bool added = add_kernel_bench("bpr", bpr);

}  // namespace
}  // namespace rec::bench
