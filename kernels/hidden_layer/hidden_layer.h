// hidden_layer: LeakyReLU and the linear layer behind it, for all nodes.
//
//   act = leaky(pre)            leaky(x) = x > 0 ? x : slope x, slope 0.01
//   y   = act W^T + b           [nodes, out]
//
// backward:
//   grad_W   = grad_y^T act      grad_b = column sum of grad_y
//   grad_pre = (grad_y W) * leaky'(pre)
//
// The slope is positive, so the sign of act is the sign of pre: pre is overwritten by act in the
// forward pass, act by grad_pre in the backward pass, and nothing else of that size is held.
//
// Repeatable: yes, for any number of threads (fixed row panels, summed in order).
// Why it works: docs/kernels/hidden_layer.md   Test: tests/kernels/test_hidden_layer.cpp
// Speed: bench/kernels/bench_hidden_layer.cpp
#pragma once
#include <cstddef>
#include <type_traits>

#include "kernels/common/bf16.h"
#include "kernels/common/check.h"
#include "kernels/common/precision.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"
#include "kernels/language_projection/language_projection.h"  // LinearView

namespace rec {

inline constexpr float kLeakySlope = 0.01f;

template <class T, class Y>
void require_hidden_shapes(MatrixView<T> act, const LinearViewOf<std::remove_const_t<T>>& layer,
                           MatrixView<Y> y) {
  require(act.rows == y.rows, "hidden_layer: input and output must have the same rows");
  require(layer.weight.cols == act.cols && layer.weight.rows == y.cols,
          "hidden_layer: the weight must be [output width, input width]");
  require(layer.bias.size == 0 || layer.bias.size == y.cols,
          "hidden_layer: the bias must match the output width");
}

template <class T>
void require_hidden_gradient_shapes(const LinearViewOf<T>& layer, const LinearGradientView& grad) {
  require(grad.weight.rows == layer.weight.rows && grad.weight.cols == layer.weight.cols &&
              grad.bias.size == layer.bias.size,
          "hidden_layer: gradients must have the parameters' shapes");
}

namespace cpu {

// Bytes that one call of hidden_layer_backward takes for itself, at most, with the threads in use.
int64_t hidden_layer_scratch_bytes(int64_t in, int64_t out);

// act: holds pre [nodes, in] on entry, act on return.  y [nodes, out] overwritten.
void hidden_layer(MatrixView<float> act, const LinearView& layer, MatrixView<float> y);

// act: holds act [nodes, in] on entry, grad_pre on return.  grad overwritten.
void hidden_layer_backward(MatrixView<float> act, const LinearView& layer,
                           MatrixView<const float> grad_y, const LinearGradientView& grad);

}  // namespace cpu
namespace cuda {

int64_t hidden_layer_scratch_bytes(int64_t nodes, int64_t in, int64_t out);  // of the backward pass

// What is stored as float32. precision: fp32, or tf32, where act, the weight and grad_y are rounded
// as operands of the products alone, and a pre below 2^-137 counts as 0 in leaky'.
//
// act is read and written once for up to 128 outputs, and read once more for each further 128.
void hidden_layer(MatrixView<float> act, const LinearView& layer, MatrixView<float> y,
                  Precision precision, Stream stream);

// act is read and written once for up to 64 outputs, and read once more for each further 64.
void hidden_layer_backward(MatrixView<float> act, const LinearView& layer,
                           MatrixView<const float> grad_y, const LinearGradientView& grad,
                           VectorView<std::byte> scratch, Precision precision, Stream stream);

// bf16: pre, act and grad_pre are stored rounded, and what is multiplied is what is stored. Sums are
// float32, gradients of the parameters are not rounded. Y: float or Bf16; a grad_y of float is
// rounded as an operand, and summed to the bias's gradient as it is.
template <class Y>
void hidden_layer(MatrixView<Bf16> act, const LinearViewOf<Bf16>& layer, MatrixView<Y> y,
                  Stream stream);
template <class Y>
void hidden_layer_backward(MatrixView<Bf16> act, const LinearViewOf<Bf16>& layer,
                           MatrixView<const Y> grad_y, const LinearGradientView& grad,
                           VectorView<std::byte> scratch, Stream stream);

}  // namespace cuda
}  // namespace rec
