// The forward pass of hidden_layer: one kernel, whose blocks multiply their tiles in one of two ways.
#pragma once
#include "kernels/common/warp_product.cuh"
#include "kernels/hidden_layer/window.cuh"

namespace rec::cuda {

constexpr int kRows = 128;  // rows of act that a block multiplies

// A way of multiplying, for Outputs columns of y:
//   Stored             what act and W hold
//   kThreads, kBlocksAtOnce
//   kDepth             columns of act that are in shared memory at once
//   Row                a row of a tile: kDepth values as operands
//   put(Row&, column, quad)
//   multiply(act tile, weight tile), by all threads: adds to what the thread sums up
//   for_each(f)        f(row, output, sum) for each of this thread's sums

// Fused multiply-adds of float32.
template <int Outputs>
struct LaneProduct {
  using Stored = float;
  static constexpr int kDepth = 16;
  static constexpr int kThreads = kRows * Outputs / (kShare * kShare);
  static constexpr int kBlocksAtOnce = 384 / kThreads;
  static constexpr int kAcross = Outputs / kShare;  // threads side by side over the outputs
  static constexpr int kDown = kRows / kShare;
  // Rows begin 4 floats apart in their banks, so neighbours' quads do not collide.
  using Row = float[kDepth + kQuad];

  const int across = threadIdx.x % kAcross, down = threadIdx.x / kAcross;
  // Rows down, down + kDown, ... and outputs across, across + kAcross, ...
  float sum[kShare][kShare] = {};

  static __device__ __forceinline__ void put(Row& row, int column, const Quad& quad) {
    store(&row[column], quad);
  }
  __device__ __forceinline__ void multiply(const Row (&act)[kRows], const Row (&weight)[Outputs]) {
#pragma unroll 1
    for (int d = 0; d < kDepth; d += kQuad) {
      Quad a[kShare];
#pragma unroll
      for (int i = 0; i < kShare; ++i) a[i] = load<kQuad>(&act[down + i * kDown][d]);
#pragma unroll
      for (int j = 0; j < kShare; ++j) {
        const Quad b = load<kQuad>(&weight[across + j * kAcross][d]);
#pragma unroll
        for (int q = 0; q < kQuad; ++q)
#pragma unroll
          for (int i = 0; i < kShare; ++i) sum[i][j] += a[i][q] * b[q];
      }
    }
  }
  template <class F>
  __device__ __forceinline__ void for_each(F f) const {
#pragma unroll
    for (int j = 0; j < kShare; ++j)
#pragma unroll
      for (int i = 0; i < kShare; ++i) f(down + i * kDown, across + j * kAcross, sum[i][j]);
  }
};

// Tensor cores: a warp makes 32 rows of 32 outputs.
template <class Operands, int Outputs>
struct TensorProduct {
  using Stored = typename Operands::Stored;
  static constexpr int kWords = 32;  // of a row of a tile
  static constexpr int kDepth = kWords * Operands::kPacked;
  using Sums = WarpSums<2, 4>;
  static constexpr int kAcross = Outputs / Sums::kColumns;  // warps side by side over the outputs
  static constexpr int kThreads = kRows / Sums::kRows * kAcross * kWarpSize;
  static constexpr int kBlocksAtOnce = 512 / kThreads;
  // Rows begin 4 words apart in their banks, so the 8 rows and 4 words of an operand do not collide.
  using Row = uint32_t[kWords + 4];

  const int warp = threadIdx.x / kWarpSize;
  const int first_row = warp / kAcross * Sums::kRows;
  const int first_output = warp % kAcross * Sums::kColumns;
  Sums sums;

  static __device__ __forceinline__ void put(Row& row, int column, const Quad& quad) {
    const auto words = Operands::across(quad);
    *reinterpret_cast<std::remove_const_t<decltype(words)>*>(&row[column / Operands::kPacked]) =
        words;
  }
  __device__ __forceinline__ void multiply(const Row (&act)[kRows], const Row (&weight)[Outputs]) {
    multiply_words<Operands, kWords>(
        sums, [&](int row, int word) { return act[first_row + row][word]; },
        [&](int word, int output) { return weight[first_output + output][word]; });
  }
  template <class F>
  __device__ __forceinline__ void for_each(F f) const {
    for_each_value(sums, [&](int row, int output, float sum) {
      f(first_row + row, first_output + output, sum);
    });
  }
};

// Two of each: one is multiplied while the next is loaded.
template <class Product, int Outputs>
struct ForwardTiles {
  alignas(16) typename Product::Row act[2][kRows];
  alignas(16) typename Product::Row weight[2][Outputs];
};

// y[:, first_output ..] = act W^T + b for Outputs columns of y. Activate: act holds pre and becomes
// leaky(pre) on the way.
template <class Product, class Y, int Width, int Outputs, bool Activate>
__global__ __launch_bounds__(Product::kThreads, Product::kBlocksAtOnce) void multiply_rows(
    MatrixView<typename Product::Stored> act, MatrixView<const typename Product::Stored> weight,
    VectorView<const float> bias, int64_t first_output, MatrixView<Y> y) {
  using Stored = typename Product::Stored;
  using Tiles = ForwardTiles<Product, Outputs>;
  constexpr int kDepth = Product::kDepth;
  constexpr int kQuadsOfRow = kDepth / kQuad;
  constexpr int kRowsAtOnce = Product::kThreads / kQuadsOfRow;
  REC_SHARED_MEMORY(Tiles, tiles);
  const int64_t first_row = int64_t{blockIdx.x} * kRows;
  // This thread loads one quad of every kRowsAtOnce-th row of a tile.
  const int tile_row = threadIdx.x / kQuadsOfRow, tile_column = threadIdx.x % kQuadsOfRow * kQuad;

  StoredQuad<Stored> act_next[kRows / kRowsAtOnce], weight_next[Outputs / kRowsAtOnce];
  const auto load_next = [&](int64_t depth) {
    const Window<const Stored> act_window(act, first_row, act.rows, depth);
    const Window<const Stored> weight_window(weight, first_output, weight.rows, depth);
#pragma unroll
    for (int n = 0; n < kRows / kRowsAtOnce; ++n)
      act_next[n] = load_quad<Width>(act_window, tile_row + n * kRowsAtOnce, tile_column);
#pragma unroll
    for (int n = 0; n < Outputs / kRowsAtOnce; ++n)
      weight_next[n] = load_quad<Width>(weight_window, tile_row + n * kRowsAtOnce, tile_column);
  };
  const auto put_next = [&](int64_t depth, int buffer) {
    [[maybe_unused]] const Window<Stored> act_window(act, first_row, act.rows, depth);
#pragma unroll
    for (int n = 0; n < kRows / kRowsAtOnce; ++n) {
      Quad x = unpack(act_next[n]);
      if constexpr (Activate) {
#pragma unroll
        for (int k = 0; k < kQuad; ++k) x[k] = leaky(x[k]);
        store_quad<Width>(act_window, tile_row + n * kRowsAtOnce, tile_column, x);
      }
      Product::put(tiles->act[buffer][tile_row + n * kRowsAtOnce], tile_column, x);
    }
#pragma unroll
    for (int n = 0; n < Outputs / kRowsAtOnce; ++n)
      Product::put(tiles->weight[buffer][tile_row + n * kRowsAtOnce], tile_column,
                   unpack(weight_next[n]));
  };

  Product product;
  load_next(0);
  put_next(0, 0);
  int buffer = 0;
  for (int64_t depth = 0; depth < act.cols; depth += kDepth, buffer ^= 1) {
    const bool more = depth + kDepth < act.cols;
    __syncthreads();  // this tile is there, and nobody reads the other one any more
    if (more) load_next(depth + kDepth);
    product.multiply(tiles->act[buffer], tiles->weight[buffer]);
    if (more) put_next(depth + kDepth, buffer ^ 1);
  }

  const Window<Y> window(y, first_row, y.rows, first_output);
  product.for_each([&](int row, int output, float sum) {
    if (row >= window.rows || output >= window.cols) return;
    const float b = bias.size > 0 ? bias[first_output + output] : 0.0f;
    store(window.data + row * window.stride + output, Floats<1>{sum + b});
  });
}

}  // namespace rec::cuda
