#include "bench/harness.h"
#include "kernels/batch_gradient/batch_gradient.h"

namespace rec::bench {
namespace {

void batch_gradient(benchmark::State& state, const Shape& shape) {
  HostMatrix user = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix score = HostMatrix::random(shape.batch, 1 + shape.negatives, 2);
  HostMatrix user_row = HostMatrix::random(shape.batch, shape.dim, 3);
  HostMatrix grad_user(shape.users, shape.dim), grad_item(shape.items, shape.dim);
  test::HostBatch batch = drawn_batch(shape, shape.negatives);
  BatchGradientView from;
  from.score = score.view();
  from.user_row = user_row.view();
  // A use of an item reads itself, its score and its user's id (12 bytes) and that user's row; a
  // batch row's share of a user's gradient is read once; every node's gradient is written once.
  const double uses = double(shape.batch) * double(1 + shape.negatives);
  const double row_bytes = 4.0 * double(shape.dim);
  const Work work{
      .bytes = uses * (12.0 + row_bytes) + double(shape.batch + shape.nodes()) * row_bytes,
      .flops = uses * 2.0 * double(shape.dim) + double(shape.batch) * double(shape.dim),
      .limit = Limit::gather(row_bytes, row_bytes * double(shape.users))};
  measure(state, work, [&] {
    cpu::batch_gradient(user.view(), batch.view(), from, grad_user.view(), grad_item.view());
  });
}

[[maybe_unused]] const bool added = add_kernel_bench("batch_gradient", batch_gradient);

}  // namespace
}  // namespace rec::bench
