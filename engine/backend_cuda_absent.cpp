// What stands in for backend_cuda.cpp in a build without CUDA.
#include <stdexcept>

#include "engine/backend_cuda.h"

namespace rec {

GpuReport gpu_report() {
  GpuReport report;
  report.problem = "this build has no CUDA backend";
  return report;
}

std::unique_ptr<Backend> make_cuda_backend(int, Precision) {
  throw std::runtime_error(gpu_report().problem);
}

std::unique_ptr<Backend> make_cuda_backend_on(int, Stream) {
  throw std::runtime_error(gpu_report().problem);
}

std::optional<int> gpu_of(const void*) { return std::nullopt; }

}  // namespace rec
