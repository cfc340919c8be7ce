#include <algorithm>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/column_sums.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/hidden_layer/hidden_layer.h"

namespace rec::cuda {
namespace {

// A thread's share of a product is kShare x kShare values: an operand read from shared memory is
// used kShare times.
constexpr int kShare = 8;
constexpr int kQuad = 4;  // floats that shared memory gives out at once

__device__ __forceinline__ float leaky(float x) { return x > 0.0f ? x : kLeakySlope * x; }

using Quad = Floats<kQuad>;

// A window on a matrix for one block, with the positions counted in 32 bits: they take half the
// registers, and registers are what the tiles of a thread are short of.
template <class T>
struct Window {
  T* data;
  int64_t stride;
  int rows, cols;  // what of it lies in the matrix; at most 0: nothing

  __device__ Window(MatrixView<T> m, int64_t first_row, int64_t end_row, int64_t first_column)
      : data(m.row(first_row) + first_column),
        stride(m.stride),
        rows(int(min(end_row - first_row, kMost))),
        cols(int(min(m.cols - first_column, kMost))) {}
  static constexpr int64_t kMost = 1 << 20;  // more than any tile
};

// The window's [row, column .. column + 3], by Width floats; 0 outside the matrix
template <int Width>
__device__ __forceinline__ Quad load_quad(const Window<const float>& window, int row, int column) {
  Quad quad{};
  if (row >= window.rows) return quad;
  const float* const from = window.data + row * window.stride + column;
#pragma unroll
  for (int k = 0; k < kQuad; k += Width) {
    if (column + k >= window.cols) continue;
    const Floats<Width> x = load<Width>(from + k);
#pragma unroll
    for (int w = 0; w < Width; ++w) quad[k + w] = x[w];
  }
  return quad;
}

// The same way back: what lies outside is not written.
template <int Width>
__device__ __forceinline__ void store_quad(const Window<float>& window, int row, int column,
                                           const Quad& quad) {
  if (row >= window.rows) return;
  float* const to = window.data + row * window.stride + column;
#pragma unroll
  for (int k = 0; k < kQuad; k += Width) {
    if (column + k >= window.cols) continue;
    Floats<Width> x;
#pragma unroll
    for (int w = 0; w < Width; ++w) x[w] = quad[k + w];
    store(to + k, x);
  }
}

// ---- forward ----

constexpr int kRows = 128;  // rows of act that a block multiplies
constexpr int kDepth = 16;  // columns of act that are in shared memory at once

// Rows of a tile begin 4 floats apart in their banks, so neighbours' quads do not collide.
constexpr int kTileStride = kDepth + kQuad;

constexpr int forward_threads(int outputs) { return kRows * outputs / (kShare * kShare); }

// y[:, first_output ..] = act W^T + b for Outputs columns of y. Activate: act holds pre and becomes
// leaky(pre) on the way. Two tiles in shared memory: one is multiplied while the next is loaded.
template <int Width, int Outputs, bool Activate>
__global__ __launch_bounds__(
    forward_threads(Outputs),
    384 / forward_threads(Outputs)) void multiply_rows(MatrixView<float> act,
                                                       MatrixView<const float> weight,
                                                       VectorView<const float> bias,
                                                       int64_t first_output, MatrixView<float> y) {
  constexpr int kThreads = forward_threads(Outputs);
  constexpr int kAcross = Outputs / kShare;  // threads side by side over the outputs
  constexpr int kDown = kRows / kShare;
  constexpr int kQuadsOfRow = kDepth / kQuad;
  constexpr int kRowsAtOnce = kThreads / kQuadsOfRow;
  REC_SHARED_ARRAY(float, act_tile, [2][kRows][kTileStride]);
  REC_SHARED_ARRAY(float, weight_tile, [2][Outputs][kTileStride]);
  const int thread = threadIdx.x;
  const int across = thread % kAcross, down = thread / kAcross;
  const int64_t first_row = int64_t{blockIdx.x} * kRows;
  // This thread loads one quad of every kRowsAtOnce-th row of a tile.
  const int tile_row = thread / kQuadsOfRow, tile_column = thread % kQuadsOfRow * kQuad;

  Quad act_next[kRows / kRowsAtOnce], weight_next[Outputs / kRowsAtOnce];
  const auto load_next = [&](int64_t depth) {
    const Window<const float> act_window(act, first_row, act.rows, depth);
    const Window<const float> weight_window(weight, first_output, weight.rows, depth);
#pragma unroll
    for (int n = 0; n < kRows / kRowsAtOnce; ++n)
      act_next[n] = load_quad<Width>(act_window, tile_row + n * kRowsAtOnce, tile_column);
#pragma unroll
    for (int n = 0; n < Outputs / kRowsAtOnce; ++n)
      weight_next[n] = load_quad<Width>(weight_window, tile_row + n * kRowsAtOnce, tile_column);
  };
  const auto put_next = [&](int64_t depth, int buffer) {
    [[maybe_unused]] const Window<float> act_window(act, first_row, act.rows, depth);
#pragma unroll
    for (int n = 0; n < kRows / kRowsAtOnce; ++n) {
      if constexpr (Activate) {
#pragma unroll
        for (int k = 0; k < kQuad; ++k) act_next[n][k] = leaky(act_next[n][k]);
        store_quad<Width>(act_window, tile_row + n * kRowsAtOnce, tile_column, act_next[n]);
      }
      store(&act_tile[buffer][tile_row + n * kRowsAtOnce][tile_column], act_next[n]);
    }
#pragma unroll
    for (int n = 0; n < Outputs / kRowsAtOnce; ++n)
      store(&weight_tile[buffer][tile_row + n * kRowsAtOnce][tile_column], weight_next[n]);
  };

  // Rows down, down + kDown, ... and outputs across, across + kAcross, ...
  float sum[kShare][kShare] = {};
  load_next(0);
  put_next(0, 0);
  int buffer = 0;
  for (int64_t depth = 0; depth < act.cols; depth += kDepth, buffer ^= 1) {
    const bool more = depth + kDepth < act.cols;
    __syncthreads();  // this tile is there, and nobody reads the other one any more
    if (more) load_next(depth + kDepth);
#pragma unroll 1
    for (int d = 0; d < kDepth; d += kQuad) {
      Quad a[kShare];
#pragma unroll
      for (int i = 0; i < kShare; ++i) a[i] = load<kQuad>(&act_tile[buffer][down + i * kDown][d]);
#pragma unroll
      for (int j = 0; j < kShare; ++j) {
        const Quad b = load<kQuad>(&weight_tile[buffer][across + j * kAcross][d]);
#pragma unroll
        for (int q = 0; q < kQuad; ++q)
#pragma unroll
          for (int i = 0; i < kShare; ++i) sum[i][j] += a[i][q] * b[q];
      }
    }
    if (more) put_next(depth + kDepth, buffer ^ 1);
  }

#pragma unroll
  for (int j = 0; j < kShare; ++j) {
    const int64_t output = first_output + across + j * kAcross;
    if (output >= y.cols) continue;
    const float b = bias.size > 0 ? bias[output] : 0.0f;
#pragma unroll
    for (int i = 0; i < kShare; ++i) {
      const int64_t row = first_row + down + i * kDown;
      if (row < y.rows) y(row, output) = sum[i][j] + b;
    }
  }
}

// ---- backward ----

constexpr int kOutputs = 64;         // outputs whose part of grad_W a block keeps in registers
constexpr int kColumns = 128;        // columns of act that a block owns
constexpr int kPanelRows = 32;       // rows of act in shared memory at once
constexpr int64_t kMostGroups = 32;  // rows are cut into so many groups, each a block's
constexpr int64_t kFewestPanels = 4;

constexpr int kBackwardThreads = kOutputs * kColumns / (kShare * kShare);
constexpr int kQuadsAcross = kColumns / kShare;  // threads side by side over the columns
constexpr int kGroupsDown = kBackwardThreads / kQuadsAcross;  // and over rows or outputs
constexpr int kRowShare = kPanelRows / kGroupsDown;           // rows of grad_pre a thread makes

// What one launch makes beside grad_W of its outputs: nothing; or grad_pre, W having at most
// kOutputs rows, which stay in shared memory; or grad_pre, W having more.
enum class Back { weight_alone, all, all_of_many_outputs };
// On a multiprocessor, by shared memory (57 KB each; before compute capability 9.0 there is room for
// two) and registers.
constexpr int blocks_at_once(Back what, int width) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  return 2;
#else
  return what == Back::all_of_many_outputs || width < kQuad ? 2 : 3;
#endif
}

struct BackwardTiles {
  float weight[kOutputs][kColumns];
  float act[kPanelRows][kColumns];
  float grad_y[kPanelRows][kOutputs + kQuad];
};

struct Groups {
  int64_t rows, count;  // rows of one, and how many
};
Groups groups_of(int64_t rows) {
  const int64_t panels = std::max(kFewestPanels, ceil_div(ceil_div(rows, kMostGroups), kPanelRows));
  return {panels * kPanelRows, std::max<int64_t>(1, ceil_div(rows, panels * kPanelRows))};
}

struct BackwardScratch {
  VectorView<float> group_weight;  // [groups, out, in]
  VectorView<std::byte> column_sums;

  BackwardScratch(Carver carver, int64_t nodes, int64_t in, int64_t out)
      : group_weight(carver.take<float>(groups_of(nodes).count * out * in)),
        column_sums(carver.take<std::byte>(column_sums_scratch_bytes(nodes, out))),
        bytes(carver.bytes()) {}
  int64_t bytes;
};

// Block (x = group * slabs + slab): the group's rows, kColumns columns of act. Each panel of act is
// read once, for the sign of pre in grad_pre and for its part of grad_W.
//
// first_output: the outputs whose grad_W is made. With grad_pre these must be the last of all,
// whose grad_y is left in shared memory.
template <int Width, Back What>
__global__ __launch_bounds__(kBackwardThreads, blocks_at_once(What, Width)) void multiply_back(
    MatrixView<float> act, MatrixView<const float> weight, MatrixView<const float> grad_y,
    int64_t first_output, int64_t slabs, int64_t group_rows, float* group_weight) {
  REC_SHARED_MEMORY(BackwardTiles, tiles);
  const int thread = threadIdx.x;
  const int across = thread % kQuadsAcross, down = thread / kQuadsAcross;
  const int64_t group = blockIdx.x / slabs, first_column = blockIdx.x % slabs * kColumns;
  const int64_t begin = group * group_rows, end = min(begin + group_rows, act.rows);
  const int64_t outputs = weight.rows;

  // Where this thread's n-th quad of a tile with so many columns lies.
  const auto tile_row = [&](int n, int columns) {
    return (thread + n * kBackwardThreads) / (columns / kQuad);
  };
  const auto tile_column = [&](int columns) { return thread % (columns / kQuad) * kQuad; };
  static_assert(kBackwardThreads % (kColumns / kQuad) == 0);
  static_assert(kBackwardThreads % (kOutputs / kQuad) == 0);

  const auto put_weight = [&](int64_t from_output) {
    const Window<const float> window(weight, from_output, outputs, first_column);
    const int c = tile_column(kColumns);
#pragma unroll 4
    for (int n = 0; n < kOutputs * kColumns / kQuad / kBackwardThreads; ++n)
      store(&tiles->weight[tile_row(n, kColumns)][c],
            load_quad<Width>(window, tile_row(n, kColumns), c));
  };
  Quad act_next[kPanelRows * kColumns / kQuad / kBackwardThreads];
  constexpr int kActLoads = sizeof act_next / sizeof(Quad);
  constexpr int kGradLoads = kPanelRows * kOutputs / kQuad / kBackwardThreads;
  const auto load_act = [&](int64_t row) {
    const Window<const float> window(act, row, end, first_column);
#pragma unroll
    for (int n = 0; n < kActLoads; ++n)
      act_next[n] = load_quad<Width>(window, tile_row(n, kColumns), tile_column(kColumns));
  };
  const auto put_act = [&] {
#pragma unroll
    for (int n = 0; n < kActLoads; ++n)
      store(&tiles->act[tile_row(n, kColumns)][tile_column(kColumns)], act_next[n]);
  };
  const auto put_grad = [&](int64_t row, int64_t from_output) {
    const Window<const float> window(grad_y, row, end, from_output);
#pragma unroll
    for (int n = 0; n < kGradLoads; ++n)
      store(&tiles->grad_y[tile_row(n, kOutputs)][tile_column(kOutputs)],
            load_quad<Width>(window, tile_row(n, kOutputs), tile_column(kOutputs)));
  };
  // This thread's columns: two quads, half a slab apart, so that neighbours read neighbours.
  const auto quad = [&](int side) { return side * (kColumns / 2) + across * kQuad; };

  // grad_y W of the tiles in shared memory, for rows down, down + kGroupsDown, ...
  const auto add_input = [&](float(&sum)[kRowShare][kShare]) {
#pragma unroll 1
    for (int o = 0; o < kOutputs; o += kQuad) {
      Quad g[kRowShare];
#pragma unroll
      for (int i = 0; i < kRowShare; ++i)
        g[i] = load<kQuad>(&tiles->grad_y[down + i * kGroupsDown][o]);
#pragma unroll
      for (int q = 0; q < kQuad; ++q)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const Quad w = load<kQuad>(&tiles->weight[o + q][quad(side)]);
#pragma unroll
          for (int i = 0; i < kRowShare; ++i)
#pragma unroll
            for (int k = 0; k < kQuad; ++k) sum[i][side * kQuad + k] += g[i][q] * w[k];
        }
    }
  };
  const auto put_input = [&](int64_t row, const float(&sum)[kRowShare][kShare]) {
    const Window<float> window(act, row, end, first_column);
#pragma unroll
    for (int i = 0; i < kRowShare; ++i)
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int r = down + i * kGroupsDown;
        Quad x = load<kQuad>(&tiles->act[r][quad(side)]);
#pragma unroll
        for (int k = 0; k < kQuad; ++k) {
          const float s = sum[i][side * kQuad + k];
          x[k] = x[k] > 0.0f ? s : kLeakySlope * s;
        }
        store_quad<Width>(window, r, quad(side), x);
      }
  };

  // grad_W's part: two quads of outputs, two of columns.
  float weight_sum[kShare][kShare] = {};
  const auto output_quad = [&](int side) { return side * (kOutputs / 2) + down * kQuad; };
  const auto add_weight = [&] {
#pragma unroll 2
    for (int r = 0; r < kPanelRows; ++r) {
      Quad g[2], a[2];
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        g[side] = load<kQuad>(&tiles->grad_y[r][output_quad(side)]);
        a[side] = load<kQuad>(&tiles->act[r][quad(side)]);
      }
#pragma unroll
      for (int i = 0; i < kShare; ++i)
#pragma unroll
        for (int j = 0; j < kShare; ++j)
          weight_sum[i][j] += g[i / kQuad][i % kQuad] * a[j / kQuad][j % kQuad];
    }
  };

  if constexpr (What == Back::all) put_weight(0);
  if (begin < end) load_act(begin);
  for (int64_t row = begin; row < end; row += kPanelRows) {
    put_act();
    put_grad(row, first_output);
    __syncthreads();  // the panel is there
    if constexpr (What != Back::weight_alone) {
      float sum[kRowShare][kShare] = {};
      for (int64_t output = 0; output < outputs; output += kOutputs) {
        if constexpr (What == Back::all_of_many_outputs) {
          __syncthreads();  // nobody reads the tiles before
          put_weight(output);
          put_grad(row, output);
          __syncthreads();  // these are there
        }
        add_input(sum);
      }
      put_input(row, sum);
    }
    if (row + kPanelRows < end) load_act(row + kPanelRows);
    add_weight();
    __syncthreads();  // nobody reads the panel any more
  }

  const Window<float> window(
      MatrixView<float>(group_weight + group * outputs * act.cols, outputs, act.cols), first_output,
      outputs, first_column);
#pragma unroll
  for (int i = 0; i < kShare; ++i)
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      Quad x;
#pragma unroll
      for (int k = 0; k < kQuad; ++k) x[k] = weight_sum[i][side * kQuad + k];
      store_quad<Width>(window, output_quad(i / kQuad) + i % kQuad, quad(side), x);
    }
}

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

}  // namespace

int64_t hidden_layer_scratch_bytes(int64_t nodes, int64_t in, int64_t out) {
  return BackwardScratch(Carver(nullptr), nodes, in, out).bytes;
}

void hidden_layer(MatrixView<float> act, const LinearView& layer, MatrixView<float> y,
                  Stream stream) {
  require_hidden_shapes(act, layer, y);
  const unsigned blocks = unsigned(ceil_div(act.rows, kRows));
  with_width(vector_width({act, layer.weight}), [&]<int Width>() {
    const auto outputs_from = [&]<int Outputs, bool Activate>(int64_t first) {
      launch(multiply_rows<Width, Outputs, Activate>, blocks, unsigned(forward_threads(Outputs)), 0,
             stream, act, layer.weight, layer.bias, first, y);
    };
    // Each launch reads act once, so few of them: 64 outputs or 128.
    if (y.cols <= 64) return outputs_from.template operator()<64, true>(0);
    outputs_from.template operator()<128, true>(0);
    for (int64_t first = 128; first < y.cols; first += 128)
      outputs_from.template operator()<128, false>(first);
  });
}

void hidden_layer_backward(MatrixView<float> act, const LinearView& layer,
                           MatrixView<const float> grad_y, const LinearGradientView& grad,
                           VectorView<std::byte> scratch, Stream stream) {
  require_hidden_shapes(act, layer, grad_y);
  require_hidden_gradient_shapes(layer, grad);
  const int64_t out = layer.weight.rows, in = layer.weight.cols;
  const BackwardScratch own(Carver(scratch.data), act.rows, in, out);
  require_scratch(scratch, own.bytes,
                  "hidden_layer: scratch needs hidden_layer_scratch_bytes, aligned to 256");
  const Groups groups = groups_of(act.rows);
  const int64_t slabs = ceil_div(in, kColumns);
  if (grad.bias.size > 0)
    column_sums(grad_y, grad_y.rows_from(0, 0), grad.bias, own.column_sums, stream);
  with_width(vector_width({act, layer.weight, grad_y}), [&]<int Width>() {
    const auto outputs_from = [&]<Back What>(int64_t first) {
      launch(multiply_back<Width, What>, unsigned(groups.count * slabs), kBackwardThreads,
             sizeof(BackwardTiles), stream, act, layer.weight, grad_y, first, slabs, groups.rows,
             own.group_weight.data);
    };
    if (out <= kOutputs) return outputs_from.template operator()<Back::all>(0);
    int64_t first = 0;
    for (; first + kOutputs < out; first += kOutputs)
      outputs_from.template operator()<Back::weight_alone>(first);
    outputs_from.template operator()<Back::all_of_many_outputs>(first);
  });
  with_width(vector_width({grad.weight}), [&]<int Width>() {
    launch(add_groups<Width>, unsigned(ceil_div(out * in, int64_t{kAddThreads} * Width)),
           kAddThreads, 0, stream, own.group_weight.data, groups.count, grad.weight);
  });
}

}  // namespace rec::cuda
