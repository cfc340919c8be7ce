// Twin of kernels/common/gemm_cublaslt.cpp: the products of the CPU backend, put into the stream.
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/common/gemm.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/common/gemm_shapes.h"
#include "tests/emulator/device_runtime.h"

namespace rec::cuda {
namespace {

// The nearest number with 10 bits behind the point, ties away from 0.
float rounded_to_tf32(float x) {
  constexpr uint32_t kDropped = 13;
  if (!std::isfinite(x)) return x;
  const uint32_t bits = std::bit_cast<uint32_t>(x) + (1u << (kDropped - 1));
  return std::bit_cast<float>(bits >> kDropped << kDropped);
}

// A copy of m, rounded; the view is on it.
MatrixView<const float> rounded(MatrixView<const float> m, std::vector<float>& copy) {
  copy.resize(size_t(m.rows * m.cols));
  const MatrixView<float> to(copy.data(), m.rows, m.cols);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.cols; ++c) to(r, c) = rounded_to_tf32(m(r, c));
  return to;
}

void multiply(Product product, Precision precision, MatrixView<const float> a,
              MatrixView<const float> b, VectorView<const float> bias, Into into,
              MatrixView<float> c, Stream stream) {
  product_shape(product, a, b, bias, c);
  emulator::enqueue(stream, [=] {
    std::vector<float> rounded_a, rounded_b;
    const bool rounds = precision == Precision::tf32;
    const MatrixView<const float> x = rounds ? rounded(a, rounded_a) : a;
    const MatrixView<const float> y = rounds ? rounded(b, rounded_b) : b;
    switch (product) {
      case Product::a_bt: cpu::gemm_a_bt(x, y, into, c); break;
      case Product::a_b: cpu::gemm_a_b(x, y, into, c); break;
      case Product::at_b: cpu::gemm_at_b(x, y, into, c); break;
    }
    for (int64_t r = 0; r < c.rows; ++r)
      for (int64_t n = 0; n < bias.size; ++n) c(r, n) += bias[n];
  });
}

}  // namespace

struct Gemm::Library {
  Precision precision;
};

Gemm::Gemm(Precision precision) : library_(new Library{precision}) {}
Gemm::~Gemm() = default;
int64_t Gemm::workspace_bytes() { return 0; }
void Gemm::measure_plans(bool) {}

void Gemm::a_bt(MatrixView<const float> a, MatrixView<const float> b, VectorView<const float> bias,
                Into into, MatrixView<float> c, Stream stream) {
  multiply(Product::a_bt, library_->precision, a, b, bias, into, c, stream);
}
void Gemm::a_b(MatrixView<const float> a, MatrixView<const float> b, Into into, MatrixView<float> c,
               Stream stream) {
  multiply(Product::a_b, library_->precision, a, b, {}, into, c, stream);
}
void Gemm::at_b(MatrixView<const float> a, MatrixView<const float> b, Into into,
                MatrixView<float> c, Stream stream) {
  multiply(Product::at_b, library_->precision, a, b, {}, into, c, stream);
}

}  // namespace rec::cuda
