// Sums and maxima over the lanes of a warp, in a fixed order.
#pragma once
#include "kernels/common/gpu.h"

namespace rec::cuda {

// Every lane gets the sum. All lanes of the warp must call.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int flip = kWarpSize / 2; flip > 0; flip /= 2)
    value += __shfl_xor_sync(kFullWarp, value, flip);
  return value;
}

// Every lane gets the largest value; NaN only where all are NaN. All lanes of the warp must call.
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int flip = kWarpSize / 2; flip > 0; flip /= 2)
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, flip));
  return value;
}

}  // namespace rec::cuda
