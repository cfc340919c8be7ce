// How exactly operands are stored and multiplied. Sums are float32 in all, and so are the weights
// that the optimiser keeps.
#pragma once

namespace rec {

enum class Precision {
  fp32,
  tf32,  // stored as float32; operands of products are rounded to 10 bits behind the point
  bf16,  // operands and stored activations have 7 bits behind the point
};

}  // namespace rec
