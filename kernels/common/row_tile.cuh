// How a warp reads whole rows: Lanes lanes share a row, Width floats each, so that one load takes
// 32 / Lanes rows. Of a wider row it takes one stretch of Lanes * Width columns.
#pragma once
#include <initializer_list>

#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/common/views.h"

namespace rec::cuda {

template <int WidthOfLane, int LanesOfRow>
struct RowTile {
  static constexpr int kWidth = WidthOfLane;
  static constexpr int kLanes = LanesOfRow;
  static constexpr int kRows = kWarpSize / kLanes;
  static constexpr int kColumns = kLanes * kWidth;

  // The calling lane's place in the tile: its row, its number in the row, the first of its columns.
  __device__ static int row() { return int(threadIdx.x) % kWarpSize / kLanes; }
  __device__ static int lane() { return int(threadIdx.x) % kLanes; }
  __device__ static int column() { return lane() * kWidth; }

  // The sum over a row's lanes, for each of them. All lanes of the warp must call.
  template <class T>
  __device__ __forceinline__ static T sum_along_row(T value) {
#pragma unroll
    for (int flip = kLanes / 2; flip > 0; flip /= 2)
      value += __shfl_xor_sync(kFullWarp, value, flip);
    return value;
  }
  // Count such sums at once, in a fraction of the shuffles: at each step a lane gives away half of
  // what it has and keeps the other. Count: a power of two, at most kLanes. The lane gets the sum
  // of value[sum_of_lane<Count>()].
  template <int Count>
  __device__ __forceinline__ static float sums_along_row(float (&value)[Count]) {
    fold<kLanes / 2, Count>(value);
    return value[0];
  }
  template <int Count>
  __device__ static int sum_of_lane() {
    return lane() / (kLanes / Count);
  }
  // The sum over the tile's rows, for each of them. All lanes of the warp must call.
  __device__ __forceinline__ static Floats<kWidth> sum_over_rows(Floats<kWidth> value) {
#pragma unroll
    for (int flip = kLanes; flip < kWarpSize; flip *= 2)
#pragma unroll
      for (int w = 0; w < kWidth; ++w) value[w] += __shfl_xor_sync(kFullWarp, value[w], flip);
    return value;
  }

 private:
  template <int Flip, int Left, int Count>
  __device__ __forceinline__ static void fold(float (&value)[Count]) {
    constexpr int kHalf = Left / 2;
    if constexpr (kHalf == 0) value[0] += __shfl_xor_sync(kFullWarp, value[0], Flip);
    const bool keeps_upper = (threadIdx.x & unsigned(Flip)) != 0;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float given = keeps_upper ? value[i] : value[i + kHalf];
      const float kept = keeps_upper ? value[i + kHalf] : value[i];
      value[i] = kept + __shfl_xor_sync(kFullWarp, given, Flip);
    }
    if constexpr (Flip > 1) fold<Flip / 2, (kHalf > 0 ? kHalf : 1)>(value);
  }
};

// Calls f.template operator()<Tile>() with the tile for the rows of all matrices, which have cols
// columns: as wide a load as fits them all, and no more lanes than a row needs.
template <class F>
void with_row_tile(int64_t cols, std::initializer_list<RowLayout> matrices, F f) {
  switch (vector_width(matrices)) {
    case 4:
      if (cols <= RowTile<4, 8>::kColumns) return f.template operator()<RowTile<4, 8>>();
      if (cols <= RowTile<4, 16>::kColumns) return f.template operator()<RowTile<4, 16>>();
      return f.template operator()<RowTile<4, 32>>();
    case 2: return f.template operator()<RowTile<2, 32>>();
    default: return f.template operator()<RowTile<1, 32>>();
  }
}

}  // namespace rec::cuda
