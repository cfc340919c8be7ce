#include <vector>

#include "bench/harness.h"
#include "kernels/normalisation/normalisation.h"

namespace rec::bench {
namespace {

void forward(benchmark::State& state, const Shape& shape) {
  HostMatrix e = HostMatrix::random(shape.nodes(), shape.dim, 1), n(shape.nodes(), shape.dim);
  std::vector<float> norm(size_t(shape.nodes()));
  // Every value is read and written once; a product and an addition for the norm, then a division.
  const double values = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values, .flops = 3.0 * values, .limit = Limit::copy_of(8.0 * values)};
  measure(state, work, [&] { cpu::normalise(e.view(), n.view(), {norm.data(), shape.nodes()}); });
}

void backward(benchmark::State& state, const Shape& shape) {
  HostMatrix e = HostMatrix::random(shape.nodes(), shape.dim, 1), n(shape.nodes(), shape.dim);
  HostMatrix grad = HostMatrix::random(shape.nodes(), shape.dim, 2);
  // Norms of 1, so that a gradient which goes through again and again stays in range.
  std::vector<float> norm(size_t(shape.nodes()), 1.0f), unused(size_t(shape.nodes()));
  cpu::normalise(e.view(), n.view(), {unused.data(), shape.nodes()});
  // n is read, grad read and written: 12 bytes a value;
  // the dot product, the difference, the division.
  const double values = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 12.0 * values, .flops = 5.0 * values, .limit = Limit::copy_of(8.0 * values)};
  measure(state, work, [&] {
    cpu::normalise_backward(n.view(), {norm.data(), shape.nodes()}, grad.view());
  });
}

[[maybe_unused]] const bool forward_added = add_kernel_bench("normalisation/forward", forward);
[[maybe_unused]] const bool backward_added = add_kernel_bench("normalisation/backward", backward);

}  // namespace
}  // namespace rec::bench
