#include <algorithm>
#include <cmath>

#include "kernels/adam/adam.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int64_t kBlock = 16384;  // values a thread takes at once: four slabs of it fit in L2

struct Step {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float first_correction;        // 1 / (1 - beta1^t)
  float second_correction_root;  // 1 / sqrt(1 - beta2^t)
};

REC_SIMD_CLONES void update(const Step& s, int64_t n, const float* grad, float* weight,
                            float* first, float* second) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] + s.weight_decay * weight[i];
    const float m = s.beta1 * first[i] + (1.0f - s.beta1) * g;
    const float v = s.beta2 * second[i] + (1.0f - s.beta2) * g * g;
    first[i] = m;
    second[i] = v;
    weight[i] -= s.learning_rate * (m * s.first_correction) /
                 (std::sqrt(v) * s.second_correction_root + s.epsilon);
  }
}

}  // namespace

void adam(const AdamSettings& settings, int64_t t, VectorView<float> weight,
          VectorView<const float> grad, VectorView<float> first_moment,
          VectorView<float> second_moment) {
  require_adam_shapes(weight, grad, first_moment, second_moment, t);
  const Step step{settings.learning_rate,
                  settings.beta1,
                  settings.beta2,
                  settings.epsilon,
                  settings.weight_decay,
                  float(1.0 / (1.0 - std::pow(double(settings.beta1), double(t)))),
                  float(1.0 / std::sqrt(1.0 - std::pow(double(settings.beta2), double(t))))};
  const int64_t blocks = ceil_div(weight.size, kBlock);
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t first = b * kBlock;
    const int64_t count = std::min(kBlock, weight.size - first);
    update(step, count, grad.data + first, weight.data + first, first_moment.data + first,
           second_moment.data + first);
  }
}

}  // namespace rec::cpu
