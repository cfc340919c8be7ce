#include <vector>

#include "bench/harness.h"
#include "kernels/normalisation/normalisation.h"

namespace rec::bench {
namespace {

void forward(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix random = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix zeros(shape.nodes(), shape.dim), zero_norms(1, shape.nodes());
  const MatrixView<float> e = place.put(random.view()), n = place.put(zeros.view());
  const VectorView<float> norm = place.put(zero_norms.flat());
  // Every value is read and written once; a product and an addition for the norm, then a division.
  const double values = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values, .flops = 3.0 * values, .limit = Limit::copy_of(8.0 * values)};
  measure(
      state, work, place, [&] { cpu::normalise(e, n, norm); },
      [&](auto stream) { cuda::normalise(e, n, norm, stream); });
}

void backward(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix unit = HostMatrix::random_unit_rows(shape.nodes(), shape.dim, 1);
  HostMatrix random = HostMatrix::random(shape.nodes(), shape.dim, 2);
  // Norms of 1, so that a gradient which goes through again and again stays in range.
  std::vector<float> ones(size_t(shape.nodes()), 1.0f);
  const MatrixView<float> n = place.put(unit.view()), grad = place.put(random.view());
  const auto norm = place.put(VectorView<const float>(ones.data(), shape.nodes()));
  // n is read, grad read and written: 12 bytes a value;
  // the dot product, the difference, the division.
  const double values = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 12.0 * values, .flops = 5.0 * values, .limit = Limit::copy_of(8.0 * values)};
  measure(
      state, work, place, [&] { cpu::normalise_backward(n, norm, grad); },
      [&](auto stream) { cuda::normalise_backward(n, norm, grad, stream); });
}

[[maybe_unused]] const bool forward_added = add_kernel_bench("normalisation/forward", forward);
[[maybe_unused]] const bool backward_added = add_kernel_bench("normalisation/backward", backward);

}  // namespace
}  // namespace rec::bench
