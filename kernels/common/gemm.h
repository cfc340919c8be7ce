// Single-precision matrix products on one thread (OpenBLAS), for use inside OpenMP regions: kernels
// give each thread fixed panels of the result, so that no result depends on the number of threads.
#pragma once
#include <string>

#include "kernels/common/into.h"
#include "kernels/common/views.h"

namespace rec::cpu {

// c [m, n] = a [m, k] b[n, k]^T
void gemm_a_bt(MatrixView<const float> a, MatrixView<const float> b, Into into,
               MatrixView<float> c);
// c [m, n] = a [m, k] b [k, n]
void gemm_a_b(MatrixView<const float> a, MatrixView<const float> b, Into into, MatrixView<float> c);
// c [m, n] = a[k, m]^T b [k, n]
void gemm_at_b(MatrixView<const float> a, MatrixView<const float> b, Into into,
               MatrixView<float> c);

// The library behind these products and the kernels it uses on this CPU: "OpenBLAS 0.3.21, SkylakeX
// kernels". Whoever calls OpenBLAS past this header calls it first:
// it settles both the kernels and one thread.
std::string blas_in_use();

}  // namespace rec::cpu
