#include <cblas.h>

#include "kernels/common/check.h"
#include "kernels/common/gemm.h"

namespace rec::cpu {
namespace {

void multiply(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, MatrixView<const float> a,
              MatrixView<const float> b, int64_t inner, Into into, MatrixView<float> c) {
  if (c.rows == 0 || c.cols == 0) return;
  [[maybe_unused]] static const bool once = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  // inner = 0 is a sum of nothing; BLAS then only scales c, but still wants a leading dimension of 1.
  const auto lead = [](MatrixView<const float> m) { return blasint(m.stride > 0 ? m.stride : 1); };
  cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, blasint(c.rows), blasint(c.cols),
              blasint(inner), 1.0f, a.data, lead(a), b.data, lead(b),
              into == Into::add ? 1.0f : 0.0f, c.data, blasint(c.stride));
}

}  // namespace

void gemm_a_bt(MatrixView<const float> a, MatrixView<const float> b, Into into,
               MatrixView<float> c) {
  require(a.cols == b.cols && c.rows == a.rows && c.cols == b.rows, "gemm: shapes do not fit");
  multiply(CblasNoTrans, CblasTrans, a, b, a.cols, into, c);
}

void gemm_a_b(MatrixView<const float> a, MatrixView<const float> b, Into into,
              MatrixView<float> c) {
  require(a.cols == b.rows && c.rows == a.rows && c.cols == b.cols, "gemm: shapes do not fit");
  multiply(CblasNoTrans, CblasNoTrans, a, b, a.cols, into, c);
}

void gemm_at_b(MatrixView<const float> a, MatrixView<const float> b, Into into,
               MatrixView<float> c) {
  require(a.rows == b.rows && c.rows == a.cols && c.cols == b.cols, "gemm: shapes do not fit");
  multiply(CblasTrans, CblasNoTrans, a, b, a.rows, into, c);
}

}  // namespace rec::cpu
