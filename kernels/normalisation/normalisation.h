// normalisation: rows to unit length, and the way back.
//
//   norm = max(|e|, 1e-12)      n = e / norm
//   grad_e = (grad_n - n (n . grad_n)) / norm
//            grad_n / 1e-12 where |e| < 1e-12 (the clamp's own derivative)
//
// Repeatable: yes.  Why it works: docs/kernels/normalisation.md
// Test: tests/kernels/test_normalisation.cpp   Speed: bench/kernels/bench_normalisation.cpp
#pragma once
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

inline constexpr float kSmallestNorm = 1e-12f;

inline void require_normalisation_shapes(MatrixView<const float> a, VectorView<const float> norm,
                                         MatrixView<const float> b) {
  require(a.rows == b.rows && a.cols == b.cols, "normalisation: both matrices need one shape");
  require(norm.size == a.rows, "normalisation: one norm per row");
}

namespace cpu {

// e [rows, dim] -> n [rows, dim] and norm [rows], overwritten. n may be e itself.
void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm);

// grad: holds grad_n on entry, grad_e on return.
void normalise_backward(MatrixView<const float> n, VectorView<const float> norm,
                        MatrixView<float> grad);

}  // namespace cpu
namespace cuda {

void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm,
               Stream stream);
void normalise_backward(MatrixView<const float> n, VectorView<const float> norm,
                        MatrixView<float> grad, Stream stream);

}  // namespace cuda
}  // namespace rec
