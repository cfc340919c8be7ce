#include "kernels/normalisation/normalisation.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

// In double, where the square of no float overflows or vanishes.
inline double dot_in_double(const float* x, const float* y, int64_t n) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < n; ++c) sum += double(x[c]) * double(y[c]);
  return sum;
}

REC_SIMD_CLONES float normalise_row(const float* e, float* n, int64_t dim) {
  const float norm = std::max(float(std::sqrt(dot_in_double(e, e, dim))), kSmallestNorm);
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) n[c] = e[c] / norm;
  return norm;
}

REC_SIMD_CLONES void normalise_row_backward(const float* n, float norm, float* grad, int64_t dim) {
  // A clamped norm is a constant: nothing is projected out.
  const float along = norm > kSmallestNorm ? float(dot_in_double(n, grad, dim)) : 0.0f;
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) grad[c] = (grad[c] - n[c] * along) / norm;
}

}  // namespace

void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm) {
  require_normalisation_shapes(e, norm, n);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < e.rows; ++r) norm[r] = normalise_row(e.row(r), n.row(r), e.cols);
}

void normalise_backward(MatrixView<const float> n, VectorView<const float> norm,
                        MatrixView<float> grad) {
  require_normalisation_shapes(n, norm, grad);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < n.rows; ++r)
    normalise_row_backward(n.row(r), norm[r], grad.row(r), n.cols);
}

}  // namespace rec::cpu
