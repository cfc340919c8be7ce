// Prefix sums over the threads of a block, of integers: the same in any order.
#pragma once
#include "kernels/common/gpu.h"

namespace rec::cuda {

// The sum over the lanes up to this one. All lanes of the warp must call.
template <class T>
__device__ __forceinline__ T warp_inclusive_sum(T value) {
  const int lane = int(threadIdx.x % kWarpSize);
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const T before = __shfl_up_sync(kFullWarp, value, unsigned(distance));
    if (lane >= distance) value += before;
  }
  return value;
}

template <class T>
struct Prefix {
  T before;  // the sum over the threads before this one
  T all;     // over all threads of the block
};

// warp_sums: shared, [Threads / 32], free to be used again after a barrier. All threads of a block
// of Threads must call.
template <int Threads, class T>
__device__ __forceinline__ Prefix<T> block_prefix(T value, T* warp_sums) {
  constexpr int kWarps = Threads / kWarpSize;
  static_assert(Threads % kWarpSize == 0 && kWarps <= kWarpSize);
  const int warp = int(threadIdx.x) / kWarpSize, lane = int(threadIdx.x) % kWarpSize;
  const T inclusive = warp_inclusive_sum(value);
  if (lane == kWarpSize - 1) warp_sums[warp] = inclusive;
  __syncthreads();
  T before_warp = 0, all = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before_warp += warp_sums[w];
    all += warp_sums[w];
  }
  return {before_warp + inclusive - value, all};
}

}  // namespace rec::cuda
