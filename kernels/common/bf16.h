// bfloat16: a float32 without its lower 16 bits. Stored only; computed with as float32.
#pragma once
#include <bit>
#include <cstdint>

namespace rec {

struct Bf16 {
  uint16_t bits;
};

// Rounding to bfloat16 and back changes a normal number by at most this share of it.
inline constexpr float kBf16Rounding = 0x1p-8f;

constexpr float to_float(Bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }

// To the nearest, ties to even; NaN becomes one NaN.
constexpr Bf16 to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {0x7FFF};
  return {uint16_t((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}

}  // namespace rec
