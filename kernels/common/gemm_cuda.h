// Matrix products on a GPU: cuBLASLt behind an ordinary class. Kernels that need a product of two
// large matrices take a Gemm; what is small or fused they multiply themselves.
//
//   a_bt   c [m, n] = a [m, k] b[n, k]^T (+ bias[n] in every row)
//   a_b    c [m, n] = a [m, k] b [k, n]
//   at_b   c [m, n] = a[k, m]^T b [k, n]
//
// Row-major views of any stride; c must not overlap a or b. Where k = 0, a sum of nothing.
//
// Repeatable: yes, on one device and one version of the library. No algorithm is taken that adds
// parts of a sum in an order of its own (reduction scheme none: each value is one block's sum), and
// a Gemm has its own workspace. So one stream at a time may use a Gemm.
//
// An algorithm ("plan") is chosen once per product, shape and alignment: the library's first
// suggestion, unless measure_plans(true) has asked for trials.
//
// Test: tests/kernels/test_gemm.cpp
#pragma once
#include <cstdint>
#include <memory>

#include "kernels/common/into.h"
#include "kernels/common/precision.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec::cuda {

class Gemm {
 public:
  // Takes workspace_bytes() of device memory. Throws CudaError, or std::bad_alloc.
  explicit Gemm(Precision precision);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  static int64_t workspace_bytes();

  // While on, the first product of a new shape tries every algorithm the library suggests, on the
  // product's own operands, and keeps the fastest. It allocates and waits: not inside a step, and
  // never while the stream is captured.
  void measure_plans(bool on);

  // bias: [n], or empty; needs k > 0
  void a_bt(MatrixView<const float> a, MatrixView<const float> b, VectorView<const float> bias,
            Into into, MatrixView<float> c, Stream stream);
  void a_b(MatrixView<const float> a, MatrixView<const float> b, Into into, MatrixView<float> c,
           Stream stream);
  void at_b(MatrixView<const float> a, MatrixView<const float> b, Into into, MatrixView<float> c,
            Stream stream);

 private:
  struct Library;  // the handle, the workspace, the plans
  std::unique_ptr<Library> library_;
};

}  // namespace rec::cuda
