// What products of reduced precision multiply, by arithmetic alone: no bits of a float are looked at.
#pragma once
#include <algorithm>
#include <cmath>

#include "kernels/common/precision.h"

namespace rec::test {

// x with so many bits behind the point of its binary form, as its neighbours have.
// round: a function of double that gives a whole number.
template <class Round>
double with_bits(double x, int bits, int least_exponent, Round round) {
  if (x == 0.0 || !std::isfinite(x)) return x;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), least_exponent) - bits);
  return round(x / step) * step;
}

inline constexpr int kLeastExponent = -126;  // of a normal float

// To the nearest; ties to even in bfloat16, away from zero in tf32.
inline double bf16_value(double x) {
  return with_bits(x, 7, kLeastExponent, [](double y) { return std::nearbyint(y); });
}
inline double tf32_value(double x) {
  return with_bits(x, 10, kLeastExponent, [](double y) { return std::round(y); });
}

inline double operand_value(Precision precision, double x) {
  switch (precision) {
    case Precision::tf32: return tf32_value(x);
    case Precision::bf16: return bf16_value(x);
    case Precision::fp32: break;
  }
  return x;
}

}  // namespace rec::test
