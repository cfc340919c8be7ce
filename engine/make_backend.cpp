#include <charconv>
#include <stdexcept>
#include <string>

#include "engine/backend.h"
#include "engine/backend_cpu.h"
#include "engine/backend_cuda.h"
#include "engine/unavailable_device.h"

namespace rec {
namespace {

constexpr std::string_view kCuda = "cuda";

[[noreturn]] void refuse(std::string_view device, const std::string& why) {
  throw UnavailableDevice("device " + std::string(device) + ": " + why, Remedy::another_device);
}

[[noreturn]] void refuse(Precision precision, const std::string& why) {
  throw UnavailableDevice(
      std::string("precision ") + precision_name(precision) + " needs an NVIDIA GPU, and " + why,
      Remedy::fp32);
}

// N of "cuda:N"; 0 of "cuda"; -1 of anything else.
int gpu_number(std::string_view device) {
  if (device == kCuda) return 0;
  if (device.substr(0, kCuda.size() + 1) != "cuda:") return -1;
  const std::string_view digits = device.substr(kCuda.size() + 1);
  int number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
}

}  // namespace

MadeBackend make_backend(std::string_view device, int threads, Precision precision) {
  if (device == "cpu") {
    if (precision != Precision::fp32) refuse(precision, "device cpu asks for the processors");
    return {make_cpu_backend(threads), ""};
  }
  if (device == "auto") {
    const GpuReport report = gpu_report();
    if (report.problem.empty()) return {make_cuda_backend(0, precision), ""};
    if (precision != Precision::fp32) refuse(precision, report.problem);
    return {make_cpu_backend(threads), "device auto: " + report.problem + ", using the CPU"};
  }
  const int number = gpu_number(device);
  if (number < 0)
    throw std::invalid_argument("device " + std::string(device) +
                                ": not a device; use auto, cpu, cuda or cuda:N");
  const GpuReport report = gpu_report();
  if (!report.problem.empty()) refuse(device, report.problem);
  const int gpus = int(report.gpus.size());
  if (number >= gpus)
    refuse(device, "there is no GPU " + std::to_string(number) + "; this machine has " +
                       (gpus == 1 ? "cuda:0 alone" : "cuda:0 to cuda:" + std::to_string(gpus - 1)));
  return {make_cuda_backend(number, precision), ""};
}

}  // namespace rec
