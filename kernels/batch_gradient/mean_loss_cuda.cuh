// A batch's loss from its rows': the last step of every objective on a GPU.
#pragma once
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/views.h"

namespace rec::cuda {

// *loss_sum += the mean of the rows' losses. One block, so that the order is fixed.
template <int Threads>
__global__ __launch_bounds__(Threads) void add_mean(VectorView<const double> row_loss,
                                                    double* loss_sum) {
  REC_SHARED_ARRAY(double, share, [Threads / kWarpSize]);
  double sum = 0.0;
#pragma unroll 4
  for (int64_t b = threadIdx.x; b < row_loss.size; b += Threads) sum += row_loss[b];
  sum = warp_sum(sum);
  if (threadIdx.x % kWarpSize == 0) share[threadIdx.x / kWarpSize] = sum;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int warp = 1; warp < Threads / kWarpSize; ++warp) sum += share[warp];
  *loss_sum += sum / double(row_loss.size);
}

// row_loss: not empty
inline void add_mean_loss(VectorView<const double> row_loss, double* loss_sum, Stream stream) {
  constexpr int kThreads = 256;
  launch(add_mean<kThreads>, 1, kThreads, 0, stream, row_loss, loss_sum);
}

}  // namespace rec::cuda
