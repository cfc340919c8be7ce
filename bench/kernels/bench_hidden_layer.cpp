#include <cmath>

#include "bench/harness.h"
#include "kernels/hidden_layer/hidden_layer.h"

namespace rec::bench {
namespace {

void forward(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix values_of_act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  // act is overwritten in place: a negative value would shrink at every call until it is subnormal.
  for (float& value : values_of_act.flat()) value = std::abs(value);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix outputs_of_y(shape.nodes(), shape.dim);
  const MatrixView<float> act = place.put(values_of_act.view()), y = place.put(outputs_of_y.view());
  const LinearView layer = {place.put(weight.view()), place.put(bias.flat())};
  // One product of [nodes, H] with [H, d]; a comparison and a multiplication a value beside it are
  // not counted. act is read and written, y written, the weight read once.
  const double values = double(shape.nodes()) * double(shape.hidden);
  const double outputs = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values + 4.0 * outputs + 4.0 * double(shape.dim) * double(shape.hidden),
      .flops = 2.0 * values * double(shape.dim),
      .limit = Limit::sgemm()};
  measure(
      state, work, place, [&] { cpu::hidden_layer(act, layer, y); },
      [&](auto stream) { cuda::hidden_layer(act, layer, y, Precision::fp32, stream); });
}

void backward(benchmark::State& state, const Shape& shape, Place& place) {
  HostMatrix values_of_act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix gradients = HostMatrix::random(shape.nodes(), shape.dim, 3);
  HostMatrix grad_weight(shape.dim, shape.hidden), grad_bias(1, shape.dim);
  const MatrixView<float> act = place.put(values_of_act.view());
  const MatrixView<const float> grad_y = place.put(gradients.view());
  const LinearView layer = {place.put(weight.view()), place.put(bias.flat())};
  const LinearGradientView grad = {place.put(grad_weight.view()), place.put(grad_bias.flat())};
  // Two products of the forward pass's size: grad_y^T act and grad_y W. act is read, and grad_pre
  // written over it; grad_y and the weight are read, the weight's gradient written.
  const double values = double(shape.nodes()) * double(shape.hidden);
  const double outputs = double(shape.nodes()) * double(shape.dim);
  const Work work{
      .bytes = 8.0 * values + 4.0 * outputs + 8.0 * double(shape.dim) * double(shape.hidden),
      .flops = 4.0 * values * double(shape.dim),
      .limit = Limit::sgemm()};
  const VectorView<std::byte> scratch = place.gpu_scratch([&](auto) {
    return cuda::hidden_layer_scratch_bytes(shape.nodes(), shape.hidden, shape.dim);
  });
  measure(
      state, work, place, [&] { cpu::hidden_layer_backward(act, layer, grad_y, grad); },
      [&](auto stream) {
        cuda::hidden_layer_backward(act, layer, grad_y, grad, scratch, Precision::fp32, stream);
      });
}

[[maybe_unused]] const bool forward_added = add_kernel_bench("hidden_layer/forward", forward);
[[maybe_unused]] const bool backward_added = add_kernel_bench("hidden_layer/backward", backward);

}  // namespace
}  // namespace rec::bench
