// How exactly operands are stored and multiplied. Sums are float32 in all, and so are the weights
// that the optimiser keeps.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace rec {

enum class Precision {
  fp32,
  tf32,  // stored as float32; operands of products are rounded to 10 bits behind the point
  bf16,  // operands and stored activations have 7 bits behind the point
};

inline constexpr Precision kPrecisions[] = {Precision::fp32, Precision::tf32, Precision::bf16};

// "fp32", "tf32", "bf16"
constexpr const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::fp32: return "fp32";
    case Precision::tf32: return "tf32";
    case Precision::bf16: return "bf16";
  }
  return "";
}
// Throws std::invalid_argument when it is none of these.
inline Precision precision_named(std::string_view name) {
  for (Precision precision : kPrecisions)
    if (name == precision_name(precision)) return precision;
  throw std::invalid_argument("precision " + std::string(name) + ": use fp32, tf32 or bf16");
}

}  // namespace rec
