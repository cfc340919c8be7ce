#include "bench/harness.h"
#include "kernels/adam/adam.h"

namespace rec::bench {
namespace {

void step(benchmark::State& state, const Shape& shape, Place& place) {
  // All parameters of the projector: W1, b1, W2, b2.
  const int64_t parameters =
      shape.hidden * (shape.language_width + 1) + shape.dim * (shape.hidden + 1);
  HostMatrix random_weight = HostMatrix::random(1, parameters, 1);
  HostMatrix random_grad = HostMatrix::random(1, parameters, 2);
  HostMatrix zero(1, parameters), another_zero(1, parameters);
  const VectorView<float> weight = place.put(random_weight.flat()),
                          grad = place.put(random_grad.flat()),
                          first_moment = place.put(zero.flat()),
                          second_moment = place.put(another_zero.flat());
  int64_t t = 0;
  const int64_t* const updates = place.put(VectorView<const int64_t>(&t, 1)).data;
  // Four slabs are read and three written: 28 bytes a parameter. 2 operations for the gradient, 3
  // and 4 for the moments, and 7 for the weight, of which a root and a quotient.
  const double values = double(parameters);
  const Work work{
      .bytes = 28.0 * values, .flops = 16.0 * values, .limit = Limit::copy_of(16.0 * values)};
  measure(
      state, work, place,
      [&] { cpu::adam(AdamSettings(), ++t, weight, grad, first_moment, second_moment); },
      [&](auto stream) {
        cuda::adam(AdamSettings(), updates, weight, grad, first_moment, second_moment, {}, stream);
      });
}

[[maybe_unused]] const bool added = add_kernel_bench("adam", step);

}  // namespace
}  // namespace rec::bench
