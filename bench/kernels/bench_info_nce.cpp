#include "bench/harness.h"
#include "kernels/info_nce/info_nce.h"

namespace rec::bench {
namespace {

constexpr float kTau = 0.15f;

void info_nce(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix items = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  test::HostBatch drawn = drawn_batch(shape, shape.negatives);
  test::HostBatchGradient gradients(drawn, shape.dim, /*score_padding=*/0);
  double losses = 0;
  const MatrixView<const float> user = place.put(users.view()), item = place.put(items.view());
  const BatchView batch = place.put(drawn.view());
  const BatchGradientView grad = place.put(gradients.view());
  double* const loss_sum = place.put(VectorView<double>(&losses, 1)).data;
  // A batch row reads its 1 + negatives item rows twice, for the scores and for the gradient, an id
  // and a score beside each, and a product and an addition go with every value. The user's row is
  // read and the row's gradient written once.
  const double uses = double(shape.batch) * double(1 + shape.negatives);
  const double row_bytes = 4.0 * double(shape.dim);
  const Work work{.bytes = uses * (2.0 * row_bytes + 16.0) + double(shape.batch) * 2.0 * row_bytes,
                  .flops = uses * 4.0 * double(shape.dim),
                  .limit = Limit::gather(row_bytes, row_bytes * double(shape.items))};
  measure(
      state, work, place,
      [&] { benchmark::DoNotOptimize(cpu::info_nce(user, item, batch, kTau, grad)); },
      [&](auto stream) { cuda::info_nce(user, item, batch, kTau, grad, loss_sum, stream); });
}

[[maybe_unused]] const bool added = add_kernel_bench("info_nce", info_nce);

}  // namespace
}  // namespace rec::bench
