// A batch's loss from its rows' or its nodes': the last step of every objective on a GPU.
#pragma once
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/views.h"

namespace rec::cuda {

// *loss_sum += the sum of the losses, divided. One block, so that the order is fixed.
template <int Threads>
__global__ __launch_bounds__(Threads) void add_quotient(VectorView<const double> loss,
                                                        double divisor, double* loss_sum) {
  REC_SHARED_ARRAY(double, share, [Threads / kWarpSize]);
  double sum = 0.0;
#pragma unroll 4
  for (int64_t b = threadIdx.x; b < loss.size; b += Threads) sum += loss[b];
  sum = warp_sum(sum);
  if (threadIdx.x % kWarpSize == 0) share[threadIdx.x / kWarpSize] = sum;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int warp = 1; warp < Threads / kWarpSize; ++warp) sum += share[warp];
  *loss_sum += sum / divisor;
}

inline void add_loss(VectorView<const double> loss, double divisor, double* loss_sum,
                     Stream stream) {
  constexpr int kThreads = 256;
  launch(add_quotient<kThreads>, 1, kThreads, 0, stream, loss, divisor, loss_sum);
}

// row_loss: not empty
inline void add_mean_loss(VectorView<const double> row_loss, double* loss_sum, Stream stream) {
  add_loss(row_loss, double(row_loss.size), loss_sum, stream);
}

}  // namespace rec::cuda
