// The CUDA backend: puts each operation into a stream of one GPU, and records a training step as one
// CUDA graph. A build without CUDA has the same functions (backend_cuda_absent.cpp).
#pragma once
#include <memory>
#include <optional>

#include "engine/backend.h"
#include "engine/gpu_report.h"
#include "kernels/common/stream.h"

namespace rec {

// device: the GPU's number. Throws std::runtime_error saying why it cannot be used.
std::unique_ptr<Backend> make_cuda_backend(int device, Precision precision);

// A backend in fp32 for some operations on a stream of the caller's, which must outlive it and the
// memory it gives; null: the stream that CUDA takes where none is named. Cheap to make: it has
// nothing of its own, and takes memory in the stream's order. While it lives the device is the
// calling thread's, and no other thread may use it. Without uploads, downloads, waits and ranking
// nothing it does waits for the GPU.
std::unique_ptr<Backend> make_cuda_backend_on(int device, Stream stream);

// The GPU whose memory p is, or none.
std::optional<int> gpu_of(const void* p);

}  // namespace rec
