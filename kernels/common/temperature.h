// What a softmax of s / tau over a batch of rows multiplies by.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

namespace rec {

struct TemperatureScales {
  double inverse_tau;  // 1 / tau
  double gradient;     // 1 / (tau B)
};
// Within float, so that 0 / tau stays 0 for the smallest tau.
inline TemperatureScales temperature_scales(float tau, int64_t batch_rows) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return {std::min(1.0 / double(tau), kLargest),
          std::min(1.0 / (double(tau) * double(batch_rows)), kLargest)};
}

}  // namespace rec
