#include <cmath>

#include "bench/harness.h"
#include "kernels/hidden_layer/hidden_layer.h"

namespace rec::bench {
namespace {

void forward(benchmark::State& state, const Shape& shape) {
  HostMatrix act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  // act is overwritten in place: a negative value would shrink at every call until it is subnormal.
  for (float& value : act.flat()) value = std::abs(value);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix y(shape.nodes(), shape.dim);
  // One product of [nodes, H] with [H, d]; a comparison and a multiplication a value beside it are
  // not counted. act is read and written, y written, the weight read once.
  const double values = double(shape.nodes()) * double(shape.hidden);
  const double outputs = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values + 4.0 * outputs + 4.0 * double(shape.dim) * double(shape.hidden),
      .flops = 2.0 * values * double(shape.dim),
      .limit = Limit::sgemm()};
  measure(state, work, [&] {
    cpu::hidden_layer(act.view(), {weight.view(), bias.flat()}, y.view());
  });
}

void backward(benchmark::State& state, const Shape& shape) {
  HostMatrix act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix grad_y = HostMatrix::random(shape.nodes(), shape.dim, 3);
  HostMatrix grad_weight(shape.dim, shape.hidden), grad_bias(1, shape.dim);
  // Two products of the forward pass's size: grad_y^T act and grad_y W. act is read, and grad_pre
  // written over it; grad_y and the weight are read, the weight's gradient written.
  const double values = double(shape.nodes()) * double(shape.hidden);
  const double outputs = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values + 4.0 * outputs + 8.0 * double(shape.dim) * double(shape.hidden),
      .flops = 4.0 * values * double(shape.dim),
      .limit = Limit::sgemm()};
  measure(state, work, [&] {
    cpu::hidden_layer_backward(act.view(), {weight.view(), bias.flat()}, grad_y.view(),
                               {grad_weight.view(), grad_bias.flat()});
  });
}

[[maybe_unused]] const bool forward_added = add_kernel_bench("hidden_layer/forward", forward);
[[maybe_unused]] const bool backward_added = add_kernel_bench("hidden_layer/backward", backward);

}  // namespace
}  // namespace rec::bench
