// How the passes of hidden_layer read and write parts of a matrix: four values a thread at once.
#pragma once
#include <type_traits>

#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/hidden_layer/hidden_layer.h"

namespace rec::cuda {

// Where products are made of fused multiply-adds a thread's share is kShare x kShare values: an
// operand read from shared memory is used kShare times.
constexpr int kShare = 8;
constexpr int kQuad = 4;  // floats that shared memory gives out at once
using Quad = Floats<kQuad>;
// Four values as they lie in memory: half the registers while they are on their way.
template <class T>
using StoredQuad =
    std::conditional_t<std::is_same_v<std::remove_const_t<T>, float>, Quad, StoredBf16<kQuad>>;

__device__ __forceinline__ Quad unpack(const Quad& quad) { return quad; }

__device__ __forceinline__ float leaky(float x) { return x > 0.0f ? x : kLeakySlope * x; }

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

// quad[k .. k + Width) = from
template <int Width>
__device__ __forceinline__ void load_part(const float* from, int k, Quad& quad) {
  const Floats<Width> x = load<Width>(from);
#pragma unroll
  for (int w = 0; w < Width; ++w) quad[k + w] = x[w];
}
template <int Width>
__device__ __forceinline__ void load_part(const Bf16* from, int k, StoredBf16<kQuad>& quad) {
  const auto x = load_whole(reinterpret_cast<const StoredBf16<Width>*>(from));
#pragma unroll
  for (int w = 0; w < x.kWords; ++w) quad.word[k / 2 + w] |= uint32_t{x.word[w]} << 16 * (k % 2);
}

// The window's [row, column .. column + 3], by Width values; 0 outside the matrix
template <int Width, class T>
__device__ __forceinline__ StoredQuad<T> load_quad(const Window<T>& window, int row, int column) {
  StoredQuad<T> quad{};
  if (row >= window.rows) return quad;
  const T* const from = window.data + row * window.stride + column;
#pragma unroll
  for (int k = 0; k < kQuad; k += Width)
    if (column + k < window.cols) load_part<Width>(from + k, k, quad);
  return quad;
}

// The same way back, rounded to what the matrix holds: what lies outside is not written.
template <int Width, class T>
__device__ __forceinline__ void store_quad(const Window<T>& window, int row, int column,
                                           const Quad& quad) {
  if (row >= window.rows) return;
  T* const to = window.data + row * window.stride + column;
#pragma unroll
  for (int k = 0; k < kQuad; k += Width) {
    if (column + k >= window.cols) continue;
    Floats<Width> x;
#pragma unroll
    for (int w = 0; w < Width; ++w) x[w] = quad[k + w];
    store(to + k, x);
  }
}

// Calls f.template operator()<Width>() with 4 where all rows can be read by whole quads, else 1.
template <class F>
void with_quads(std::initializer_list<RowLayout> matrices, F f) {
  if (vector_width(matrices) == kQuad) return f.template operator()<kQuad>();
  f.template operator()<1>();
}

}  // namespace rec::cuda
