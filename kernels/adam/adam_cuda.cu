#include <algorithm>

#include "kernels/adam/adam.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 1024;  // each computes the two corrections once

struct Corrections {
  float first;        // 1 / (1 - beta1^t)
  float second_root;  // 1 / sqrt(1 - beta2^t)
};

template <int Width>
__global__ __launch_bounds__(kThreads) void update(AdamSettings s, const int64_t* updates,
                                                   int64_t size, const float* grads, float* weights,
                                                   float* first_moments, float* second_moments,
                                                   VectorView<Bf16> rounded) {
  REC_SHARED_ARRAY(Corrections, shared, [1]);
  if (threadIdx.x == 0) {
    const double t = double(*updates + 1);
    shared[0].first = float(1.0 / (1.0 - pow(double(s.beta1), t)));
    shared[0].second_root = float(1.0 / sqrt(1.0 - pow(double(s.beta2), t)));
  }
  __syncthreads();
  const Corrections correction = shared[0];
  const int64_t step = int64_t{gridDim.x} * kThreads * Width;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width; i < size; i += step) {
    const Floats<Width> grad = load<Width>(grads + i);
    Floats<Width> weight = load<Width>(weights + i);
    Floats<Width> first = load<Width>(first_moments + i);
    Floats<Width> second = load<Width>(second_moments + i);
#pragma unroll
    for (int w = 0; w < Width; ++w) {
      const float g = grad[w] + s.weight_decay * weight[w];
      first[w] = s.beta1 * first[w] + (1.0f - s.beta1) * g;
      second[w] = s.beta2 * second[w] + (1.0f - s.beta2) * g * g;
      weight[w] -= s.learning_rate * (first[w] * correction.first) /
                   (sqrtf(second[w]) * correction.second_root + s.epsilon);
    }
    store(weights + i, weight);
    store(first_moments + i, first);
    store(second_moments + i, second);
    if (rounded.size > 0) store(rounded.data + i, weight);
  }
}

}  // namespace

void adam(const AdamSettings& settings, const int64_t* updates, VectorView<float> weight,
          VectorView<const float> grad, VectorView<float> first_moment,
          VectorView<float> second_moment, VectorView<Bf16> rounded, Stream stream) {
  require_adam_shapes(weight, grad, first_moment, second_moment, 1);
  require(rounded.size == 0 || rounded.size == weight.size,
          "adam: rounded weights must be as many as the weights");
  const auto row = [](auto slab) { return RowLayout(MatrixView(slab.data, 1, slab.size)); };
  const int width =
      vector_width({row(weight), row(grad), row(first_moment), row(second_moment), row(rounded)});
  with_width(width, [&]<int Width>() {
    const int64_t blocks = std::min(kMostBlocks, ceil_div(weight.size, int64_t{kThreads} * Width));
    launch(update<Width>, unsigned(blocks), kThreads, 0, stream, settings, updates, weight.size,
           grad.data, weight.data, first_moment.data, second_moment.data, rounded);
  });
}

}  // namespace rec::cuda
