// Matrix products on a GPU: cuBLASLt behind an ordinary class. Kernels that need a product of two
// large matrices take a Gemm; what is small or fused they multiply themselves.
//
//   a_bt   c [m, n] = a [m, k] b[n, k]^T (+ bias[n] in every row)
//   a_b    c [m, n] = a [m, k] b [k, n]
//   at_b   c [m, n] = a[k, m]^T b [k, n]
//
// Row-major views of any stride; c must not overlap a or b. Where k = 0, a sum of nothing.
//
// a and b are stored alike: float, or Bf16. c is float, or Bf16 where they are; a bias is stored as
// c is, which is what the library asks for. Sums are float32; what is stored as Bf16 is rounded
// once, at the end.
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
#include "kernels/common/stored_view.h"
#include "kernels/common/stream.h"

namespace rec::cuda {

class Gemm {
 public:
  // precision: of products of floats; those of Bf16 are exact in any. Takes workspace_bytes() of
  // device memory. Throws CudaError, or std::bad_alloc.
  explicit Gemm(Precision precision);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  static int64_t workspace_bytes();

  // While on, the first product of a new shape tries every algorithm the library suggests, on the
  // product's own operands, and keeps the fastest. It allocates and waits: not inside a step, and
  // never while the stream is captured.
  void measure_plans(bool on);

  // bias: [1, n], or empty; needs k > 0
  void a_bt(ConstStoredView a, ConstStoredView b, ConstStoredView bias, Into into, StoredView c,
            Stream stream);
  void a_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream);
  void at_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream);

 private:
  struct Library;  // the handle, the workspace, the plans
  std::unique_ptr<Library> library_;
};

}  // namespace rec::cuda
