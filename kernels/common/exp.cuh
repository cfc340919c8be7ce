// exp for softmax weights on a GPU: the weights that exp.h drops are dropped here as well.
#pragma once
#include "kernels/common/exp.h"
#include "kernels/common/gpu.h"

namespace rec::cuda {

// exp(x) for x <= 0, within 2 epsilon of the true value, relative; 0 below kSmallestExponent, NaN
// for NaN.
__device__ __forceinline__ float exp_weight(float x) {
  return x < kSmallestExponent ? 0.0f : expf(x);
}

}  // namespace rec::cuda
