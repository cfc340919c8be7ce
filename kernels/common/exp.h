// exp for softmax weights: written so that compilers turn a loop over it into SIMD.
#pragma once
#include <bit>
#include <cstdint>

namespace rec {

inline constexpr float kSmallestExponent = -69.0f;  // exp of it is 1.1e-30

// exp(x) for x <= 0, within 1 epsilon of the true value, relative (0.72 at worst, found by trying
// every float); exactly 1 at 0, NaN for NaN. Below kSmallestExponent it gives 0: next to a
// softmax's largest weight, 1, that changes no sum, and it keeps products
// with such weights out of the slow subnormals.
//
// x = k ln 2 + r with |r| <= ln 2 / 2; exp(x) = 2^k (1 + r + r^2 q(r)).
inline float exp_of_nonpositive(float x) {
  constexpr float kRoundToInteger = 12582912.0f;  // 1.5 * 2^23: adding it leaves no fraction bits
  constexpr float kLn2High = 0.693359375f;        // 9 bits, so k * kLn2High is exact
  constexpr float kLn2Low = -2.12194440e-4f;
  const float shifted = x * 1.44269504f + kRoundToInteger;
  const float k = shifted - kRoundToInteger;
  const float r = (x - k * kLn2High) - k * kLn2Low;
  // Cephes expf's polynomial for (exp(r) - 1 - r) / r^2
  float q = 1.9875691500e-4f;
  q = q * r + 1.3981999507e-3f;
  q = q * r + 8.3334519073e-3f;
  q = q * r + 4.1665795894e-2f;
  q = q * r + 1.6666665459e-1f;
  q = q * r + 5.0000001201e-1f;
  const float mantissa = (q * r * r + r) + 1.0f;
  // The low bits of `shifted` hold k; moved up, they are k in a float's exponent.
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) + 127u) << 23;
  const float result = mantissa * std::bit_cast<float>(exponent);
  // Below kSmallestExponent `result` may be anything. A mask: of ?: compilers make a branch.
  const uint32_t kept = 0u - uint32_t(!(x < kSmallestExponent));
  return std::bit_cast<float>(std::bit_cast<uint32_t>(result) & kept);
}

}  // namespace rec
