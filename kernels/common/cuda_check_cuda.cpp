#include <cuda_runtime_api.h>

#include <new>

#include "kernels/common/cuda_check.h"

namespace rec::cuda {

void check(cudaError_t result, const char* call, const char* file, int line) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // an error that does not stick is not reported twice
  if (result == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw CudaError(result, std::string("CUDA: ") + call + " failed at " + file + ":" +
                              std::to_string(line) + ": " + cudaGetErrorString(result) + " (" +
                              cudaGetErrorName(result) + ")");
}

}  // namespace rec::cuda
