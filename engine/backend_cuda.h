// The CUDA backend: puts each operation into a stream of one GPU, and records a training step as one
// CUDA graph. A build without CUDA has the same functions (backend_cuda_absent.cpp).
#pragma once
#include <memory>

#include "engine/backend.h"
#include "engine/gpu_report.h"

namespace rec {

// device: the GPU's number. Throws std::runtime_error saying why it cannot be used.
std::unique_ptr<Backend> make_cuda_backend(int device, Precision precision);

}  // namespace rec
