// The device of the tests: their stream, and memory that both sides reach.
#include <cstdlib>
#include <new>

#include "tests/support/on_backends.h"
#include "tests/support/values.h"

#if defined(REC_CUDA)
#include <cuda_runtime_api.h>

#include "kernels/common/cuda_check.h"

namespace rec::test {

Stream test_stream() {
  static const Stream one = [] {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess) return Stream{nullptr};
    Stream stream = nullptr;
    REC_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
  }();
  return one;
}

void wait_for_device() { REC_CUDA_CHECK(cudaDeviceSynchronize()); }

void* take_test_memory(size_t bytes) {
  if (test_stream() == nullptr) return ::operator new(bytes);
  void* memory = nullptr;
  REC_CUDA_CHECK(cudaMallocManaged(&memory, bytes > 0 ? bytes : 1, cudaMemAttachGlobal));
  return memory;
}

void give_test_memory_back(void* memory) {
  if (test_stream() == nullptr) return ::operator delete(memory);
  cudaFree(memory);  // may be a destructor's call: an error shows at the next wait
}

}  // namespace rec::test
#else
namespace rec::test {

Stream test_stream() { return nullptr; }
void wait_for_device() {}
void* take_test_memory(size_t bytes) { return ::operator new(bytes); }
void give_test_memory_back(void* memory) { ::operator delete(memory); }

}  // namespace rec::test
#endif
