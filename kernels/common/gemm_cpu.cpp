#include <cblas.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "kernels/common/check.h"
#include "kernels/common/gemm.h"
#include "kernels/common/simd.h"

// OpenBLAS builds for many CPUs export these; in others they are absent, and null here.
extern "C" {
[[gnu::weak]] void gotoblas_dynamic_init();
[[gnu::weak]] void gotoblas_dynamic_quit();
}

namespace rec::cpu {
namespace {

// An OpenBLAS older than the CPU does not know its model and falls back to SSE kernels, which cost
// a factor of five. The CPU's own feature flags say what it can run, so the choice is made again
// with the kernels for those, unless the user has named kernels.
void choose_kernels() {
  constexpr const char* kVariable = "OPENBLAS_CORETYPE";
  const std::string_view level = simd_level();
  const bool fell_back = std::string_view(openblas_get_corename()) == "Prescott";
  if (!fell_back || level == "baseline" || std::getenv(kVariable) != nullptr) return;
  if (gotoblas_dynamic_init == nullptr || gotoblas_dynamic_quit == nullptr) return;
  ::setenv(kVariable, level == "AVX-512" ? "SkylakeX" : "Haswell", 1);
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  ::unsetenv(kVariable);
}

void prepare_blas() {
  [[maybe_unused]] static const bool once = [] {
    choose_kernels();
    openblas_set_num_threads(1);
    return true;
  }();
}

void multiply(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, MatrixView<const float> a,
              MatrixView<const float> b, int64_t inner, Into into, MatrixView<float> c) {
  if (c.rows == 0 || c.cols == 0) return;
  constexpr int64_t kLargest = std::numeric_limits<blasint>::max();
  require(std::max({c.rows, c.cols, inner, a.stride, b.stride, c.stride}) <= kLargest,
          "gemm: sizes and strides must fit the integers of this BLAS");
  prepare_blas();
  // inner = 0 is a sum of nothing; BLAS then only scales c,
  // but still wants a leading dimension of 1.
  const auto lead = [](MatrixView<const float> m) { return blasint(m.stride > 0 ? m.stride : 1); };
  cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, blasint(c.rows), blasint(c.cols),
              blasint(inner), 1.0f, a.data, lead(a), b.data, lead(b),
              into == Into::add ? 1.0f : 0.0f, c.data, blasint(c.stride));
}

}  // namespace

std::string blas_in_use() {
  prepare_blas();
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  const std::string config = openblas_get_config();
  const std::string version = config.substr(0, config.find(' ', config.find(' ') + 1));
  return version + ", " + openblas_get_corename() + " kernels";
}

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
