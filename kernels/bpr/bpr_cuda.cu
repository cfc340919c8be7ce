#include "kernels/bpr/bpr.h"

#include "kernels/batch_gradient/sampled_objective_cuda.cuh"
#include "kernels/common/gpu.h"

namespace rec::cuda {
namespace {

struct Pair {
  static constexpr int kHeldTiles = 2;  // both candidates, however many lanes a row takes

  double gradient_scale;

  struct Terms {
    double margin, small;
  };

  __device__ Terms operator()(float* score, int) const {
    const double margin = double(score[1]) - double(score[0]);
    const double small = exp(-fabs(margin));  // at most 1: never overflows
    __syncthreads();                          // all threads have read the scores
    if (threadIdx.x == 0) {
      const double sigmoid = (margin < 0 ? small : 1.0) / (1.0 + small);
      score[1] = float(sigmoid * gradient_scale);
      score[0] = -score[1];
    }
    return {margin, small};
  }

  __device__ double loss(const Terms& t) const { return fmax(t.margin, 0.0) + log1p(t.small); }
};

}  // namespace

void bpr(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
         const BatchGradientView& grad, double* loss_sum, Stream stream) {
  require_bpr(batch);
  sampled_objective(user, item, batch, grad, Pair{1.0 / double(batch.rows())}, loss_sum, stream);
}

}  // namespace rec::cuda
