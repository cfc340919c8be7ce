#include "bench/harness.h"
#include "kernels/adam/adam.h"

namespace rec::bench {
namespace {

void step(benchmark::State& state, const Shape& shape) {
  // All parameters of the projector: W1, b1, W2, b2.
  const int64_t parameters =
      shape.hidden * (shape.language_width + 1) + shape.dim * (shape.hidden + 1);
  HostMatrix weight = HostMatrix::random(1, parameters, 1);
  HostMatrix grad = HostMatrix::random(1, parameters, 2);
  HostMatrix first_moment(1, parameters), second_moment(1, parameters);
  int64_t t = 0;
  // Four slabs are read and three written: 28 bytes a parameter. 2 operations for the gradient, 3
  // and 4 for the moments, and 7 for the weight, of which a root and a quotient.
  const double values = double(parameters);
  const Work work{
      .bytes = 28.0 * values, .flops = 16.0 * values, .limit = Limit::copy_of(16.0 * values)};
  measure(state, work, [&] {
    cpu::adam(AdamSettings(), ++t, weight.flat(), grad.flat(), first_moment.flat(),
              second_moment.flat());
  });
}

[[maybe_unused]] const bool added = add_kernel_bench("adam", step);

}  // namespace
}  // namespace rec::bench
