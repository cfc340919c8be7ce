// The one header that every _cuda.cu includes. Compiled by nvcc it is CUDA; compiled by a host
// compiler, for the tests, it is the emulation under tests/emulator/, which runs the same kernels.
//
// Both give: the CUDA language, REC_SHARED_ARRAY and REC_SHARED_MEMORY for shared memory, and
// rec::cuda::launch, load_whole and store_whole. Neither fmt nor anything else a device compiler cannot
// read is included.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_check.h"
#include "kernels/common/stream.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_runtime.h>

// REC_SHARED_ARRAY(float, tile, [8][33]): a static shared array.
#define REC_SHARED_ARRAY(T, name, ...) __shared__ __align__(16) T name __VA_ARGS__
// REC_SHARED_MEMORY(float, memory): the launch's dynamic shared memory.
#define REC_SHARED_MEMORY(T, name)                                    \
  extern __shared__ __align__(128) unsigned char rec_shared_memory[]; \
  T* name = reinterpret_cast<T*>(rec_shared_memory)

namespace rec::cuda {

// One load or store of a struct of 2 to 16 bytes, a power of two, aligned to its size.
template <class T>
__device__ __forceinline__ T load_whole(const T* from) {
  return *from;
}
template <class T>
__device__ __forceinline__ void store_whole(T* to, const T& value) {
  *to = value;
}

// Puts kernel(arguments...) into the stream; an empty grid is no work. Throws CudaError when it
// cannot be launched.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t dynamic_shared_bytes,
            Stream stream, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  constexpr size_t kWithoutAsking = 48 * 1024;
  if (dynamic_shared_bytes > kWithoutAsking)
    REC_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        int(dynamic_shared_bytes)));
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = dynamic_shared_bytes;
  config.stream = stream;
  REC_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

}  // namespace rec::cuda
#else
#include "tests/emulator/cuda_emulator.h"
#endif

namespace rec::cuda {

inline constexpr unsigned kFullWarp = 0xFFFFFFFFu;
inline constexpr int kWarpSize = 32;

// True in code for a lesser compute capability (90: 9.0), where compilers need more registers for
// the same and multiprocessors have less shared memory.
constexpr bool compiled_for_less_than([[maybe_unused]] int capability) {
#if defined(__CUDA_ARCH__)
  return __CUDA_ARCH__ < capability * 10;
#else
  return false;
#endif
}

}  // namespace rec::cuda
