// What both backward kernels of hidden_layer have in common.
#pragma once
#include "kernels/hidden_layer/window.cuh"

namespace rec::cuda {

constexpr int kOutputs = 64;   // outputs whose part of grad_W a block keeps in registers
constexpr int kColumns = 128;  // columns of act that a block owns

// What one launch makes beside grad_W of its outputs: nothing; or grad_pre, W having at most
// kOutputs rows, which stay in shared memory; or grad_pre, W having more.
enum class Back { weight_alone, all, all_of_many_outputs };

}  // namespace rec::cuda
