#include "kernels/info_nce/info_nce.h"

#include "kernels/batch_gradient/sampled_objective_cuda.cuh"
#include "kernels/common/exp.cuh"
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"

namespace rec::cuda {
namespace {

// Gives every thread f over the values of all warps, each of which has one, in the warps' order.
// share [kMostObjectiveWarps], in shared memory and used for nothing else.
template <class T, class F>
__device__ T over_warps(T value, T* share, F f) {
  if (threadIdx.x % kWarpSize == 0) share[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  T result = share[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarpSize; ++warp) result = f(result, share[warp]);
  return result;
}

struct Contrast {
  static constexpr int kHeldTiles = 17;  // 8 warps hold 257 rows of 64: 68 registers each

  double inverse_tau, gradient_scale;

  struct Terms {
    double below_largest, positive, negatives;
  };

  __device__ Terms operator()(float* score, int count) const {
    REC_SHARED_ARRAY(float, largest_of_warp, [kMostObjectiveWarps]);
    REC_SHARED_ARRAY(double, sum_of_warp, [kMostObjectiveWarps]);
    const int first = int(threadIdx.x), step = int(blockDim.x);
    const float positive_score = score[0];
    // fmaxf passes over NaN, but the NaN's own weight below is NaN, and so is the sum.
    float largest = positive_score;
    for (int j = first; j < count; j += step) largest = fmaxf(largest, score[j]);
    largest = over_warps(warp_max(largest), largest_of_warp,
                         [](float a, float b) { return fmaxf(a, b); });

    const float factor = float(inverse_tau);
    const auto weight_of = [=](float s) { return exp_weight((s - largest) * factor); };
    double negatives = 0.0;
    for (int j = first; j < count; j += step) {
      const float weight = weight_of(score[j]);
      score[j] = weight;
      if (j > 0) negatives += weight;
    }
    negatives =
        over_warps(warp_sum(negatives), sum_of_warp, [](double a, double b) { return a + b; });

    const double positive = weight_of(positive_score);
    const double scale = gradient_scale / (positive + negatives);
    const float negative_scale = float(scale);
    for (int j = first; j < count; j += step)
      score[j] = j == 0 ? float(-negatives * scale) : score[j] * negative_scale;
    return {(double(largest) - positive_score) * inverse_tau, positive, negatives};
  }

  // Where the positive is the largest, positive - 1 is exactly 0 and no digit of the loss is lost.
  __device__ double loss(const Terms& t) const {
    return t.below_largest + log1p(t.negatives + (t.positive - 1.0));
  }
};

}  // namespace

void info_nce(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
              float tau, const BatchGradientView& grad, double* loss_sum, Stream stream) {
  require_info_nce(tau);
  const TemperatureScales scales = temperature_scales(tau, batch.rows());
  sampled_objective(user, item, batch, grad, Contrast{scales.inverse_tau, scales.gradient},
                    loss_sum, stream);
}

}  // namespace rec::cuda
