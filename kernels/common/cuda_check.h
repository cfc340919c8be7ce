// Every call of the CUDA runtime is checked: REC_CUDA_CHECK(cudaMalloc(&p, bytes)).
#pragma once
#include <stdexcept>
#include <string>

#include <driver_types.h>

namespace rec {

// A call that failed. The sentence has the call, its place and the driver's words.
struct CudaError : std::runtime_error {
  CudaError(cudaError_t error, const std::string& sentence)
      : std::runtime_error(sentence), code(error) {}
  cudaError_t code;
};

namespace cuda {

// Throws CudaError when the call did not succeed; std::bad_alloc when memory ran out.
void check(cudaError_t result, const char* call, const char* file, int line);

}  // namespace cuda
}  // namespace rec

#define REC_CUDA_CHECK(call) ::rec::cuda::check((call), #call, __FILE__, __LINE__)
