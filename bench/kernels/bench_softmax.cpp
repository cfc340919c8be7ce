#include "bench/harness.h"
#include "kernels/softmax/softmax.h"

namespace rec::bench {
namespace {

constexpr float kTau = 0.15f;

void softmax(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix items = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  HostMatrix row_gradients(shape.batch, shape.dim), item_gradients(shape.items, shape.dim);
  test::HostBatch drawn = drawn_batch(shape, 1);
  std::vector<double> row_losses(static_cast<size_t>(shape.batch));
  double losses = 0;
  const MatrixView<const float> user = place.put(users.view()), item = place.put(items.view());
  const BatchView batch = place.put(drawn.view());
  const SoftmaxGradientView grad{place.put(row_gradients.view()),
                                 place.put(VectorView<double>(row_losses.data(), shape.batch)),
                                 place.put(item_gradients.view())};
  double* const loss_sum = place.put(VectorView<double>(&losses, 1)).data;
  const VectorView<std::byte> scratch = place.gpu_scratch(
      [&](auto) { return cuda::softmax_scratch_bytes(shape.batch, shape.items, shape.dim); });
  // Scores are made twice, and once each multiplied by the items and by the users: four products of
  // batch x items x dim. Users, items and their gradients are read and written once.
  const double rows = double(shape.batch), dim = double(shape.dim);
  const Work work{.bytes = 8.0 * dim * (rows + double(shape.items)),
                  .flops = 8.0 * rows * double(shape.items) * dim,
                  .limit = Limit::sgemm()};
  measure(
      state, work, place,
      [&] { benchmark::DoNotOptimize(cpu::softmax(user, item, batch, kTau, grad)); },
      [&](auto stream) {
        cuda::softmax(user, item, batch, kTau, grad, loss_sum, scratch, stream);
      });
}

[[maybe_unused]] const bool added = add_kernel_bench("softmax", softmax);

}  // namespace
}  // namespace rec::bench
