#include <stdexcept>
#include <string>

#include "engine/backend.h"
#include "engine/backend_cpu.h"

namespace rec {

MadeBackend make_backend(std::string_view device, int threads) {
  const bool wants_cuda = device == "cuda" || device.substr(0, 5) == "cuda:";
  if (wants_cuda)
    throw std::runtime_error("--device " + std::string(device) +
                             ": this build has no CUDA backend; use --device cpu or auto");
  if (device == "auto")
    return {make_cpu_backend(threads),
            "device auto: this build has no CUDA backend, using the CPU"};
  if (device == "cpu") return {make_cpu_backend(threads), ""};
  throw std::invalid_argument("--device " + std::string(device) +
                              ": not a device; use auto, cpu, cuda or cuda:N");
}

}  // namespace rec
