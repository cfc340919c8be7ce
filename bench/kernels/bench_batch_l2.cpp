#include <vector>

#include "bench/harness.h"
#include "kernels/batch_l2/batch_l2.h"

namespace rec::bench {
namespace {

void batch_l2(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix rows = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix gradients = HostMatrix::random(shape.nodes(), shape.dim, 2);
  test::HostBatch drawn = drawn_batch(shape, 1);
  std::vector<double> losses(size_t(shape.nodes()));
  double sum = 0;
  const MatrixView<float> x = place.put(rows.view()), grad = place.put(gradients.view());
  const BatchView batch = place.put(drawn.view());
  const VectorView<double> node_loss = place.put(VectorView<double>(losses.data(), shape.nodes()));
  double* const loss_sum = place.put(VectorView<double>(&sum, 1)).data;
  // Of every node the two ends of its list and a loss: 24 bytes. Of one that the batch takes its
  // row, and its gradient in and out.
  int64_t taken = 0;
  for (int64_t v = 0; v < shape.nodes(); ++v) taken += times_taken(drawn.view(), v) > 0;
  const double values = double(taken) * double(shape.dim);
  const Work work{.bytes = 12.0 * values + 24.0 * double(shape.nodes()),
                  .flops = 4.0 * values,
                  .limit = Limit::copy_of(8.0 * values)};
  measure(
      state, work, place,
      [&] { benchmark::DoNotOptimize(cpu::batch_l2(x, batch, 1e-4f, grad, node_loss)); },
      [&](auto stream) { cuda::batch_l2(x, batch, 1e-4f, grad, node_loss, loss_sum, stream); });
}

[[maybe_unused]] const bool added = add_kernel_bench("batch_l2", batch_l2);

}  // namespace
}  // namespace rec::bench
