#include "bench/harness.h"
#include "kernels/batch_gradient/batch_gradient.h"

namespace rec::bench {
namespace {

void batch_gradient(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix score = HostMatrix::random(shape.batch, 1 + shape.negatives, 2);
  HostMatrix user_row = HostMatrix::random(shape.batch, shape.dim, 3);
  HostMatrix user_gradients(shape.users, shape.dim), item_gradients(shape.items, shape.dim);
  test::HostBatch drawn = drawn_batch(shape, shape.negatives);
  const MatrixView<const float> user = place.put(users.view());
  const BatchView batch = place.put(drawn.view());
  BatchGradientView from;
  from.score = place.put(score.view());
  from.user_row = place.put(user_row.view());
  const MatrixView<float> grad_user = place.put(user_gradients.view()),
                          grad_item = place.put(item_gradients.view());
  // A use of an item reads itself, its score and its user's id (12 bytes) and that user's row; a
  // batch row's share of a user's gradient is read once; every node's gradient is written once.
  const double uses = double(shape.batch) * double(1 + shape.negatives);
  const double row_bytes = 4.0 * double(shape.dim);
  const Work work{
      .bytes = uses * (12.0 + row_bytes) + double(shape.batch + shape.nodes()) * row_bytes,
      .flops = uses * 2.0 * double(shape.dim) + double(shape.batch) * double(shape.dim),
      .limit = Limit::gather(row_bytes, row_bytes * double(shape.users))};
  measure(
      state, work, place, [&] { cpu::batch_gradient(user, batch, from, grad_user, grad_item); },
      [&](auto stream) { cuda::batch_gradient(user, batch, from, grad_user, grad_item, stream); });
}

[[maybe_unused]] const bool added = add_kernel_bench("batch_gradient", batch_gradient);

}  // namespace
}  // namespace rec::bench
