#include <algorithm>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/column_sums.h"
#include "kernels/common/gpu.h"
#include "kernels/hidden_layer/backward_lanes.cuh"
#include "kernels/hidden_layer/backward_tensor.cuh"
#include "kernels/hidden_layer/forward.cuh"
#include "kernels/hidden_layer/hidden_layer.h"

namespace rec::cuda {
namespace {

// grad = the groups' sums, added in order
constexpr int kAddThreads = 256;
template <int Width>
__global__ __launch_bounds__(kAddThreads) void add_groups(const float* group_weight, int64_t groups,
                                                          MatrixView<float> grad) {
  const int64_t at = (int64_t{blockIdx.x} * kAddThreads + threadIdx.x) * Width;
  const int64_t size = grad.rows * grad.cols;
  if (at >= size) return;
  Floats<Width> sum = load<Width>(group_weight + at);
#pragma unroll 8
  for (int64_t g = 1; g < groups; ++g) {
    const Floats<Width> x = load<Width>(group_weight + g * size + at);
#pragma unroll
    for (int w = 0; w < Width; ++w) sum[w] += x[w];
  }
  store(grad.row(at / grad.cols) + at % grad.cols, sum);
}

struct Groups {
  int64_t rows, count;  // rows of one, and how many
};
// The rows cut into groups of whole panels, by their number alone.
Groups groups_of(int64_t rows, int64_t most, int64_t panel_rows) {
  constexpr int64_t kFewestPanels = 4;
  const int64_t panels = std::max(kFewestPanels, ceil_div(ceil_div(rows, most), panel_rows));
  return {panels * panel_rows, std::max<int64_t>(1, ceil_div(rows, panels * panel_rows))};
}
Groups lane_groups(int64_t rows) { return groups_of(rows, kMostGroups, kPanelRows); }

struct BackwardScratch {
  VectorView<float> group_weight;  // [groups, out, in]
  VectorView<std::byte> column_sums;

  BackwardScratch(Carver carver, int64_t groups, int64_t nodes, int64_t in, int64_t out)
      : group_weight(carver.take<float>(groups * out * in)),
        column_sums(carver.take<std::byte>(column_sums_scratch_bytes(nodes, out))),
        bytes(carver.bytes()) {}
  int64_t bytes;
};

// Product<Outputs>: how the blocks multiply.
template <template <int> class Product, class T, class Y>
void forward(MatrixView<T> act, const LinearViewOf<T>& layer, MatrixView<Y> y, Stream stream) {
  require_hidden_shapes(act, layer, y);
  const unsigned blocks = unsigned(ceil_div(act.rows, kRows));
  with_quads({act, layer.weight}, [&]<int Width>() {
    const auto outputs_from = [&]<int Outputs, bool Activate>(int64_t first) {
      using Way = Product<Outputs>;
      launch(multiply_rows<Way, Y, Width, Outputs, Activate>, blocks, Way::kThreads,
             sizeof(ForwardTiles<Way, Outputs>), stream, act, layer.weight, layer.bias, first, y);
    };
    // Each launch reads act once, so few of them: 64 outputs or 128.
    if (y.cols <= 64) return outputs_from.template operator()<64, true>(0);
    outputs_from.template operator()<128, true>(0);
    for (int64_t first = 128; first < y.cols; first += 128)
      outputs_from.template operator()<128, false>(first);
  });
}
template <int Outputs>
using Tf32Product = TensorProduct<Tf32Operands, Outputs>;
template <int Outputs>
using Bf16Product = TensorProduct<Bf16Operands, Outputs>;

// launch_outputs.operator()<Width, What>(first output, blocks, slabs, group_weight)
template <class T, class Y, class LaunchOutputs>
void backward(MatrixView<T> act, const LinearViewOf<T>& layer, MatrixView<const Y> grad_y,
              const LinearGradientView& grad, Groups groups, VectorView<std::byte> scratch,
              Stream stream, LaunchOutputs launch_outputs) {
  require_hidden_shapes(act, layer, grad_y);
  require_hidden_gradient_shapes(layer, grad);
  const int64_t out = layer.weight.rows, in = layer.weight.cols;
  const BackwardScratch own(Carver(scratch.data), groups.count, act.rows, in, out);
  require_scratch(scratch, own.bytes,
                  "hidden_layer: scratch needs hidden_layer_scratch_bytes, aligned to 256");
  if (grad.bias.size > 0)
    column_sums(grad_y, grad_y.rows_from(0, 0), grad.bias, own.column_sums, stream);
  const int64_t slabs = ceil_div(in, kColumns);
  with_quads({act, layer.weight, grad_y}, [&]<int Width>() {
    const auto outputs_from = [&]<Back What>(int64_t first) {
      launch_outputs.template operator()<Width, What>(first, unsigned(groups.count * slabs), slabs,
                                                      own.group_weight.data);
    };
    if (out <= kOutputs) return outputs_from.template operator()<Back::all>(0);
    int64_t first = 0;
    for (; first + kOutputs < out; first += kOutputs)
      outputs_from.template operator()<Back::weight_alone>(first);
    outputs_from.template operator()<Back::all_of_many_outputs>(first);
  });
  with_quads({grad.weight}, [&]<int Width>() {
    launch(add_groups<Width>, unsigned(ceil_div(out * in, int64_t{kAddThreads} * Width)),
           kAddThreads, 0, stream, own.group_weight.data, groups.count, grad.weight);
  });
}

template <class Operands, class Y>
void backward_by_tensor_cores(MatrixView<typename Operands::Stored> act,
                              const LinearViewOf<typename Operands::Stored>& layer,
                              MatrixView<const Y> grad_y, const LinearGradientView& grad,
                              VectorView<std::byte> scratch, Stream stream) {
  using Tiles = TensorBackward<Operands>;
  const Groups groups = groups_of(act.rows, Tiles::kMostGroups, Tiles::kPanelRows);
  backward(act, layer, grad_y, grad, groups, scratch, stream,
           [&]<int Width, Back What>(int64_t first, unsigned blocks, int64_t slabs, float* sums) {
             launch(multiply_back_by_warps<Operands, Y, Width, What>, blocks, Tiles::kThreads,
                    sizeof(Tiles), stream, act, layer.weight, grad_y, first, slabs, groups.rows,
                    sums);
           });
}

void backward_by_lanes(MatrixView<float> act, const LinearView& layer,
                       MatrixView<const float> grad_y, const LinearGradientView& grad,
                       VectorView<std::byte> scratch, Stream stream) {
  const Groups groups = lane_groups(act.rows);
  backward(act, layer, grad_y, grad, groups, scratch, stream,
           [&]<int Width, Back What>(int64_t first, unsigned blocks, int64_t slabs, float* sums) {
             launch(multiply_back_by_lanes<Width, What>, blocks, kBackwardThreads,
                    sizeof(BackwardTiles), stream, act, layer.weight, grad_y, first, slabs,
                    groups.rows, sums);
           });
}

void require_stored_as_float(Precision precision) {
  require(precision != Precision::bf16, "hidden_layer: in bf16 act and the weight must hold Bf16");
}

}  // namespace

// Float32 has the most groups.
int64_t hidden_layer_scratch_bytes(int64_t nodes, int64_t in, int64_t out) {
  return BackwardScratch(Carver(nullptr), lane_groups(nodes).count, nodes, in, out).bytes;
}

void hidden_layer(MatrixView<float> act, const LinearView& layer, MatrixView<float> y,
                  Precision precision, Stream stream) {
  require_stored_as_float(precision);
  if (precision == Precision::tf32) return forward<Tf32Product>(act, layer, y, stream);
  forward<LaneProduct>(act, layer, y, stream);
}

void hidden_layer_backward(MatrixView<float> act, const LinearView& layer,
                           MatrixView<const float> grad_y, const LinearGradientView& grad,
                           VectorView<std::byte> scratch, Precision precision, Stream stream) {
  require_stored_as_float(precision);
  if (precision == Precision::tf32)
    return backward_by_tensor_cores<Tf32Operands>(act, layer, grad_y, grad, scratch, stream);
  backward_by_lanes(act, layer, grad_y, grad, scratch, stream);
}

template <class Y>
void hidden_layer(MatrixView<Bf16> act, const LinearViewOf<Bf16>& layer, MatrixView<Y> y,
                  Stream stream) {
  forward<Bf16Product>(act, layer, y, stream);
}

template <class Y>
void hidden_layer_backward(MatrixView<Bf16> act, const LinearViewOf<Bf16>& layer,
                           MatrixView<const Y> grad_y, const LinearGradientView& grad,
                           VectorView<std::byte> scratch, Stream stream) {
  backward_by_tensor_cores<Bf16Operands>(act, layer, grad_y, grad, scratch, stream);
}

template void hidden_layer(MatrixView<Bf16>, const LinearViewOf<Bf16>&, MatrixView<float>, Stream);
template void hidden_layer(MatrixView<Bf16>, const LinearViewOf<Bf16>&, MatrixView<Bf16>, Stream);
template void hidden_layer_backward(MatrixView<Bf16>, const LinearViewOf<Bf16>&,
                                    MatrixView<const float>, const LinearGradientView&,
                                    VectorView<std::byte>, Stream);
template void hidden_layer_backward(MatrixView<Bf16>, const LinearViewOf<Bf16>&,
                                    MatrixView<const Bf16>, const LinearGradientView&,
                                    VectorView<std::byte>, Stream);

}  // namespace rec::cuda
