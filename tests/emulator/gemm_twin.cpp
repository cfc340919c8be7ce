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

// m as the products of the CPU read it: floats, rounded where the precision says so. The view is on
// m or on copy.
MatrixView<const float> operand(ConstStoredView m, Precision precision, std::vector<float>& copy) {
  const bool rounds = precision == Precision::tf32;
  if (m.element == Element::float32 && !rounds) return m.as<float>();
  copy.resize(size_t(m.rows * m.cols));
  const MatrixView<float> to(copy.data(), m.rows, m.cols);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.cols; ++c)
      to(r, c) = m.element == Element::bfloat16 ? to_float(m.as<Bf16>()(r, c))
                                                : rounded_to_tf32(m.as<float>()(r, c));
  return to;
}

void multiply(Product product, MatrixView<const float> a, MatrixView<const float> b,
              ConstStoredView bias, Into into, MatrixView<float> c) {
  switch (product) {
    case Product::a_bt: cpu::gemm_a_bt(a, b, into, c); break;
    case Product::a_b: cpu::gemm_a_b(a, b, into, c); break;
    case Product::at_b: cpu::gemm_at_b(a, b, into, c); break;
  }
  if (bias.rows == 0) return;
  std::vector<float> copy;
  const MatrixView<const float> every_row = operand(bias, Precision::fp32, copy);
  for (int64_t r = 0; r < c.rows; ++r)
    for (int64_t n = 0; n < c.cols; ++n) c(r, n) += every_row(0, n);
}

void multiply(Product product, Precision precision, ConstStoredView a, ConstStoredView b,
              ConstStoredView bias, Into into, StoredView c, Stream stream) {
  product_shape(product, a, b, bias, c);
  emulator::enqueue(stream, [=] {
    std::vector<float> copy_of_a, copy_of_b, sums;
    const MatrixView<const float> x = operand(a, precision, copy_of_a);
    const MatrixView<const float> y = operand(b, precision, copy_of_b);
    if (c.element == Element::float32) return multiply(product, x, y, bias, into, c.as<float>());
    const MatrixView<Bf16> stored = c.as<Bf16>();
    sums.resize(size_t(c.rows * c.cols));
    const MatrixView<float> wide(sums.data(), c.rows, c.cols);
    for (int64_t r = 0; r < c.rows && into == Into::add; ++r)
      for (int64_t n = 0; n < c.cols; ++n) wide(r, n) = to_float(stored(r, n));
    multiply(product, x, y, bias, into, wide);
    for (int64_t r = 0; r < c.rows; ++r)
      for (int64_t n = 0; n < c.cols; ++n) stored(r, n) = to_bf16(wide(r, n));
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

void Gemm::a_bt(ConstStoredView a, ConstStoredView b, ConstStoredView bias, Into into, StoredView c,
                Stream stream) {
  multiply(Product::a_bt, library_->precision, a, b, bias, into, c, stream);
}
void Gemm::a_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream) {
  multiply(Product::a_b, library_->precision, a, b, {}, into, c, stream);
}
void Gemm::at_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream) {
  multiply(Product::at_b, library_->precision, a, b, {}, into, c, stream);
}

}  // namespace rec::cuda
