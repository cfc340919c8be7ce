// adam: one optimiser step over the parameter slab.
//
//   g  = grad + weight_decay * w                        (L2, as torch.optim.Adam; 0 by default)
//   m  = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
//   w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
//
// t counts from 1; the corrections are computed in double. Elementwise, so repeatable in any order.
// Source: Kingma and Ba 2015, Algorithm 1.   Why it works: docs/kernels/adam.md
// Test: tests/kernels/test_adam.cpp   Speed: bench/kernels/bench_adam.cpp
#pragma once
#include "kernels/common/bf16.h"
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

struct AdamSettings {
  float learning_rate = 5e-4f;  // per step
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;
};

inline void require_adam_shapes(VectorView<const float> weight, VectorView<const float> grad,
                                VectorView<const float> first_moment,
                                VectorView<const float> second_moment, int64_t t) {
  require(weight.size == grad.size && weight.size == first_moment.size &&
              weight.size == second_moment.size,
          "adam: the four slabs must have equal size");
  require(t >= 1, "adam: steps count from 1");
}

namespace cpu {

// weight, first_moment, second_moment [parameters] updated in place; t: this step's number, from 1.
void adam(const AdamSettings& settings, int64_t t, VectorView<float> weight,
          VectorView<const float> grad, VectorView<float> first_moment,
          VectorView<float> second_moment);

}  // namespace cpu
namespace cuda {

// As above with t = *updates + 1, read on the device when the step runs: the steps made so far.
// rounded: [parameters], overwritten by the new weights rounded to bfloat16; or empty.
void adam(const AdamSettings& settings, const int64_t* updates, VectorView<float> weight,
          VectorView<const float> grad, VectorView<float> first_moment,
          VectorView<float> second_moment, VectorView<Bf16> rounded, Stream stream);

}  // namespace cuda
}  // namespace rec
