#include "kernels/batch_l2/batch_l2.h"

#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

// grad += scale * x; returns |x|^2.
REC_SIMD_CLONES double add_row(const float* x, float scale, float* grad, int64_t dim) {
  double square = 0.0;
#pragma omp simd reduction(+ : square)
  for (int64_t c = 0; c < dim; ++c) {
    grad[c] += scale * x[c];
    square += double(x[c]) * double(x[c]);
  }
  return square;
}

}  // namespace

double batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                MatrixView<float> grad, VectorView<double> node_loss) {
  require_batch_l2(x, batch, weight, grad, node_loss);
  const double share = double(weight) / double(batch.rows());
#pragma omp parallel for schedule(static)
  for (int64_t v = 0; v < x.rows; ++v) {
    const double scale = share * double(times_taken(batch, v));
    node_loss[v] =
        scale == 0.0 ? 0.0 : 0.5 * scale * add_row(x.row(v), float(scale), grad.row(v), x.cols);
  }
  double loss = 0.0;
  for (double one : node_loss) loss += one;
  return loss;
}

}  // namespace rec::cpu
