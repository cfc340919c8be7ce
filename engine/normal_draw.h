// Uniform and normal values from Philox's words.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>

#include "kernels/sampler/philox.h"

namespace rec {

// In (0, 1).
inline double in_unit_interval(uint32_t word) { return (word + 0.5) * 0x1p-32; }

// The index-th of four words' four normal values. They come in pairs from two words each (Box and
// Muller 1958).
inline double normal_draw(const PhiloxWords& words, int64_t index) {
  const int64_t first = index / 2 * 2;
  const double radius = std::sqrt(-2.0 * std::log(in_unit_interval(words.word[first])));
  const double angle = 2.0 * std::numbers::pi * in_unit_interval(words.word[first + 1]);
  return radius * (index == first ? std::cos(angle) : std::sin(angle));
}

}  // namespace rec
