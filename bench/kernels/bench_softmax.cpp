#include <set>

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
      [&](auto) { return cuda::softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {}); });
  // Scores are made twice, and once each multiplied by the items and by the users: four products of
  // batch x items x dim. Users, items and their gradients are read and written once.
  const double rows = double(shape.batch), dim = double(shape.dim);
  const Work work{.bytes = 8.0 * dim * (rows + double(shape.items)),
                  .flops = 8.0 * rows * double(shape.items) * dim,
                  .limit = Limit::sgemm()};
  measure(
      state, work, place,
      [&] { benchmark::DoNotOptimize(cpu::softmax(user, item, batch, {}, kTau, grad)); },
      [&](auto stream) {
        cuda::softmax(user, item, batch, {}, kTau, grad, loss_sum, scratch, stream);
      });
}

void in_batch_softmax(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix items = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  HostMatrix row_gradients(shape.batch, shape.dim), item_gradients(shape.items, shape.dim);
  test::HostBatch drawn = drawn_batch(shape, 1);
  std::vector<double> row_losses(static_cast<size_t>(shape.batch));
  double losses = 0;
  const MatrixView<const float> user = place.put(users.view()), item = place.put(items.view());
  const BatchView batch = place.put(drawn.view());
  const CsrView items_of_user = place.put(graph_of(shape).view().items_of_user);
  const SoftmaxGradientView grad{place.put(row_gradients.view()),
                                 place.put(VectorView<double>(row_losses.data(), shape.batch)),
                                 place.put(item_gradients.view())};
  double* const loss_sum = place.put(VectorView<double>(&losses, 1)).data;
  const VectorView<std::byte> scratch = place.gpu_scratch([&](auto) {
    return cuda::in_batch_softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {});
  });
  // As above with the batch's distinct positives for items; each row's history is read once.
  const std::set<int32_t> candidates(drawn.positive.begin(), drawn.positive.end());
  const double rows = double(shape.batch), dim = double(shape.dim);
  double owned = 0;
  for (int32_t u : drawn.user) owned += double(graph_of(shape).view().items_of_user.degree(u));
  const Work work{.bytes = 8.0 * dim * (rows + double(candidates.size())) + 4.0 * owned,
                  .flops = 8.0 * rows * double(candidates.size()) * dim,
                  .limit = Limit::sgemm()};
  measure(
      state, work, place,
      [&] {
        benchmark::DoNotOptimize(
            cpu::in_batch_softmax(user, item, batch, items_of_user, {}, kTau, grad));
      },
      [&](auto stream) {
        cuda::in_batch_softmax(user, item, batch, items_of_user, {}, kTau, grad, loss_sum, scratch,
                               stream);
      });
}

[[maybe_unused]] const bool added = add_kernel_bench("softmax", softmax);
[[maybe_unused]] const bool in_batch_added = add_kernel_bench("softmax/in_batch", in_batch_softmax);

}  // namespace
}  // namespace rec::bench
