#include "host/library/place.h"

#include <stdexcept>

#include "engine/backend_cuda.h"
#include "host/library/threads.h"

namespace rec {
namespace {

// Every call asks, and the driver takes its time.
void require_gpu(int gpu) {
  static const GpuReport report = gpu_report();
  if (!report.problem.empty())
    throw std::runtime_error("a GPU is asked for, and " + report.problem);
  if (gpu >= int(report.gpus.size()))
    throw std::runtime_error("cuda:" + std::to_string(gpu) + " is asked for, and there are " +
                             std::to_string(report.gpus.size()) + " GPUs");
}

}  // namespace

std::unique_ptr<Backend> backend_at(const Place& place) {
  if (place.is_host()) return cpu_backend();
  require_gpu(place.gpu);
  return make_cuda_backend_on(place.gpu, place.stream);
}

std::unique_ptr<Backend> lasting_backend(int gpu) {
  if (gpu < 0) return cpu_backend();
  require_gpu(gpu);
  return make_cuda_backend(gpu, Precision::fp32);
}

}  // namespace rec
