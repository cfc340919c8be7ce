// What the tests of a kernel run on: its version for every backend of this build.
//
//   struct Normalise {
//     std::string backend;
//     std::function<void(MatrixView<const float>, MatrixView<float>, VectorView<float>)> run;
//   };
//   const auto on = GENERATE(from_range(on_backends<Normalise>(
//       [] { return Normalise{"cpu", cpu::normalise}; },
//       [](auto) { return Normalise{"cuda", on_device(cuda::normalise)}; })));
//
// The second takes a parameter so that a build without CUDA does not compile what it calls. What
// both read and write lies in Values or a GuardedMatrix (values.h).
//
// REC_TEST_BACKEND=cpu|cuda runs one of them alone.
//
// Under ThreadSanitizer a CUDA thread takes some microseconds for each barrier, collective and
// loop. Cases that launch many leave themselves out there: if (too_many_threads(n)) continue;
#pragma once
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/precision.h"
#include "kernels/common/stream.h"

namespace rec::test {

#if defined(REC_CUDA)
inline constexpr bool kCudaInBuild = true;
#else
inline constexpr bool kCudaInBuild = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// True where a case of so many CUDA threads, all launches together, would take seconds.
constexpr bool too_many_threads(int64_t cuda_threads) {
  return kThreadSanitizer && cuda_threads > 20'000;
}

// The stream that tests use, made at the first call; null where there is no device.
Stream test_stream();
// Waits for everything the device has to do.
void wait_for_device();

inline bool backend_wanted(const std::string& name) {
  const char* const wanted = std::getenv("REC_TEST_BACKEND");
  return wanted == nullptr || name == wanted;
}

namespace detail {
template <class... All>
struct WithoutLast;
template <class Last>
struct WithoutLast<Last> {
  template <class Kernel, class... Front>
  static std::function<void(Front...)> wrap(Kernel kernel) {
    return [kernel](Front... arguments) {
      kernel(arguments..., test_stream());
      wait_for_device();
    };
  }
};
template <class First, class... Rest>
struct WithoutLast<First, Rest...> {
  template <class Kernel, class... Front>
  static auto wrap(Kernel kernel) {
    return WithoutLast<Rest...>::template wrap<Kernel, Front..., First>(kernel);
  }
};
}  // namespace detail

// A function of rec::cuda as one that returns when its work is done, without the stream.
template <class... Parameters>
auto on_device(void (*kernel)(Parameters...)) {
  return detail::WithoutLast<Parameters...>::wrap(kernel);
}

template <class Implementation, class Cpu, class Cuda>
std::vector<Implementation> on_backends(Cpu cpu, Cuda cuda) {
  std::vector<Implementation> all;
  if (backend_wanted("cpu")) all.push_back(cpu());
  if constexpr (kCudaInBuild)
    if (backend_wanted("cuda") && test_stream() != nullptr) all.push_back(cuda(0));
  if (all.empty())
    throw std::runtime_error("REC_TEST_BACKEND names a backend that this build does not have");
  return all;
}

// The devices that make_backend can give here, by its names: for tests of what is built on one.
inline std::vector<std::string> test_devices() {
  return on_backends<std::string>([] { return std::string("cpu"); },
                                  [](auto) { return std::string("cuda"); });
}

// The precisions that make_backend gives on such a device.
inline std::vector<Precision> precisions_of(const std::string& device) {
  if (device == "cpu") return {Precision::fp32};
  return {std::begin(kPrecisions), std::end(kPrecisions)};
}

}  // namespace rec::test
