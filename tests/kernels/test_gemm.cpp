// The three matrix products against plain loops in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/common/gemm.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/common/gemm_shapes.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

// One of the products, with its operands stored as it wants them.
struct Gemm {
  const char* name;
  std::function<void(MatrixView<const float>, MatrixView<const float>, Into, MatrixView<float>)>
      multiply;
  bool a_turned, b_turned;  // stored [k, m], [n, k]
};
std::vector<Gemm> cpu_gemms() {
  return {{"a_bt", cpu::gemm_a_bt, false, true},
          {"a_b", cpu::gemm_a_b, false, false},
          {"at_b", cpu::gemm_at_b, true, false}};
}

struct Products {
  std::string backend;
  std::vector<Gemm> gemms;
};
// Gone by the end of the test, before the device is.
template <class Library>
std::vector<Gemm> device_gemms(std::shared_ptr<Library> gemm) {
  return {{"a_bt",
           [gemm](auto a, auto b, Into into, auto c) {
             gemm->a_bt(a, b, {}, into, c, test_stream());
             wait_for_device();
           },
           false, true},
          {"a_b",
           [gemm](auto a, auto b, Into into, auto c) {
             gemm->a_b(a, b, into, c, test_stream());
             wait_for_device();
           },
           false, false},
          {"at_b",
           [gemm](auto a, auto b, Into into, auto c) {
             gemm->at_b(a, b, into, c, test_stream());
             wait_for_device();
           },
           true, false}};
}
std::vector<Products> backends() {
  return on_backends<Products>(
      [] {
        return Products{"cpu", cpu_gemms()};
      },
      [](auto) {
        return Products{"cuda", device_gemms(std::make_shared<cuda::Gemm>(Precision::fp32))};
      });
}

GuardedMatrix operand(int64_t rows, int64_t cols, bool turned, int64_t padding,
                      std::mt19937_64& random) {
  GuardedMatrix m(turned ? cols : rows, turned ? rows : cols, padding);
  m.fill_normal(random);
  return m;
}

// operand_error: relative, of both operands together, where they are rounded first.
void check_product(const Gemm& gemm, Into into, int64_t m, int64_t n, int64_t k, int64_t padding,
                   double operand_error = 0) {
  CAPTURE(gemm.name, into == Into::add, m, n, k, padding);
  std::mt19937_64 random(121);
  const GuardedMatrix a = operand(m, k, gemm.a_turned, padding, random);
  const GuardedMatrix b = operand(k, n, gemm.b_turned, padding + 1, random);
  GuardedMatrix c(m, n, padding + 2);
  c.fill_normal(random);
  if (into == Into::overwrite)  // whatever was there has no part in the result
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) c.view()(i, j) = std::numeric_limits<float>::quiet_NaN();
  const GuardedMatrix before = c;
  gemm.multiply(a.view(), b.view(), into, c.view());
  Agreement agreement;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      Sum sum;
      if (into == Into::add) sum.add(before.view()(i, j));
      for (int64_t p = 0; p < k; ++p)
        sum.add(double(gemm.a_turned ? a.view()(p, i) : a.view()(i, p)) *
                double(gemm.b_turned ? b.view()(j, p) : b.view()(p, j)));
      agreement.compare(c.view()(i, j), sum.value,
                        rounding_bound(sum) + operand_error * sum.magnitude, "row ", i, ", column ",
                        j);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(c.guards_untouched());
}

}  // namespace

TEST_CASE("gemm: the three products match plain sums", "[kernels]") {
  const Products on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const Gemm& gemm : on.gemms)
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t m : {1, 2, 17, 64})
        for (int64_t n : {1, 3, 31, 100})
          for (int64_t k : {1, 5, 33, 128}) check_product(gemm, into, m, n, k, 3);
}

TEST_CASE("gemm: without padding, and beyond one block", "[kernels]") {
  const Products on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const Gemm& gemm : on.gemms)
    for (Into into : {Into::overwrite, Into::add}) {
      check_product(gemm, into, 33, 65, 17, 0);
      check_product(gemm, into, 130, 70, 700, 1);
    }
}

// A sum of nothing is 0: overwriting clears, adding leaves c as it was.
TEST_CASE("gemm: empty dimensions", "[kernels]") {
  const Products on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const Gemm& gemm : on.gemms)
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t padding : {0, 3}) {
        check_product(gemm, into, 5, 7, 0, padding);
        check_product(gemm, into, 64, 100, 0, padding);
        check_product(gemm, into, 0, 7, 4, padding);
        check_product(gemm, into, 5, 0, 4, padding);
        check_product(gemm, into, 0, 0, 0, padding);
      }
  // Views of no memory at all, as an empty vector gives them.
  Values<float> c = {1, 2, 3, 4, 5, 6};
  const MatrixView<const float> nothing(nullptr, 0, 0);
  const auto &a_bt = on.gemms[0].multiply, &a_b = on.gemms[1].multiply,
             &at_b = on.gemms[2].multiply;
  a_bt({nullptr, 2, 0}, {nullptr, 3, 0}, Into::add, {c.data(), 2, 3});
  CHECK((c[0] == 1 && c[5] == 6));
  at_b({nullptr, 0, 2}, {nullptr, 0, 3}, Into::overwrite, {c.data(), 2, 3});
  for (float value : c) CHECK(value == 0);
  CHECK_NOTHROW(a_b(nothing, nothing, Into::add, {nullptr, 0, 0}));
}

// Kernels call it for fixed panels inside their own OpenMP regions.
TEST_CASE("gemm: panels have the same bits on 1, 2 and 3 threads", "[kernels][threads]") {
  constexpr int64_t kRows = 600, kInner = 65, kCols = 33, kPanel = 64;
  std::mt19937_64 random(122);
  for (const Gemm& gemm : cpu_gemms()) {
    CAPTURE(gemm.name);
    const GuardedMatrix a = operand(kRows, kInner, gemm.a_turned, 3, random);
    const GuardedMatrix b = operand(kInner, kCols, gemm.b_turned, 3, random);
    const auto run = [&](int threads) {
      const cpu::ThreadsInUse count(threads);
      GuardedMatrix c(kRows, kCols);
      const MatrixView<float> to = c.view();
      const MatrixView<const float> from = a.view(), with = b.view();
#pragma omp parallel for schedule(dynamic, 1)
      for (int64_t first = 0; first < kRows; first += kPanel) {
        const int64_t rows = std::min(kPanel, kRows - first);
        gemm.multiply(gemm.a_turned ? from.cols_from(first, rows) : from.rows_from(first, rows),
                      with, Into::overwrite, to.rows_from(first, rows));
      }
      CHECK(c.guards_untouched());
      return c;
    };
    const GuardedMatrix one = run(1);
    for (int threads : {2, 3}) CHECK(same_bits(run(threads).view(), one.view()));
  }
}

TEST_CASE("gemm: refuses shapes that do not fit", "[kernels]") {
  const Products on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(123);
  for (const Gemm& gemm : on.gemms) {
    CAPTURE(gemm.name);
    const auto call = [&](int64_t a_rows, int64_t a_inner, int64_t b_inner, int64_t b_cols) {
      const GuardedMatrix a = operand(a_rows, a_inner, gemm.a_turned, 0, random);
      const GuardedMatrix b = operand(b_inner, b_cols, gemm.b_turned, 0, random);
      GuardedMatrix c(4, 5);
      gemm.multiply(a.view(), b.view(), Into::overwrite, c.view());
    };
    CHECK_NOTHROW(call(4, 3, 3, 5));
    CHECK_THROWS_AS(call(3, 3, 3, 5), std::invalid_argument);
    CHECK_THROWS_AS(call(4, 2, 3, 5), std::invalid_argument);
    CHECK_THROWS_AS(call(4, 3, 2, 5), std::invalid_argument);
    CHECK_THROWS_AS(call(4, 3, 3, 4), std::invalid_argument);
  }
}

TEST_CASE("gemm: refuses strides that the BLAS cannot take", "[kernels]") {
  float value = 0;
  const MatrixView<float> one(&value, 1, 1), far(&value, 1, 1, int64_t{1} << 31);
  CHECK_THROWS_AS(cpu::gemm_a_b(far, one, Into::overwrite, one), std::invalid_argument);
  CHECK_THROWS_AS(cpu::gemm_a_b(one, one, Into::overwrite, far), std::invalid_argument);
}

#if defined(REC_CUDA)
TEST_CASE("gemm: on a device, with a bias in every row", "[kernels]") {
  if (test_stream() == nullptr) return;
  cuda::Gemm gemm(Precision::fp32);
  for (bool measured : {false, true})
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t padding : {0, 3}) {
        CAPTURE(measured, into == Into::add, padding);
        constexpr int64_t kM = 33, kN = 65, kK = 17;
        gemm.measure_plans(measured);
        std::mt19937_64 random(124);
        const GuardedMatrix a = operand(kM, kK, false, padding, random);
        const GuardedMatrix b = operand(kK, kN, true, padding, random);
        const GuardedMatrix bias = operand(1, kN, false, padding, random);
        GuardedMatrix c(kM, kN, padding);
        c.fill_normal(random);
        const GuardedMatrix before = c;
        gemm.a_bt(a.view(), b.view(), bias.view(), into, c.view(), test_stream());
        wait_for_device();
        Agreement agreement;
        for (int64_t i = 0; i < kM; ++i)
          for (int64_t j = 0; j < kN; ++j) {
            Sum sum;
            sum.add(bias.view()(0, j));
            if (into == Into::add) sum.add(before.view()(i, j));
            for (int64_t p = 0; p < kK; ++p) sum.add(double(a.view()(i, p)) * b.view()(j, p));
            agreement.compare(c.view()(i, j), sum.value, rounding_bound(sum), "row ", i,
                              ", column ", j);
          }
        INFO(agreement.text());
        CHECK(agreement.holds());
        CHECK(c.guards_untouched());
      }
  GuardedMatrix c(2, 3), bias(1, 3);
  const MatrixView<const float> no_depth_a(nullptr, 2, 0), no_depth_b(nullptr, 3, 0);
  CHECK_THROWS_AS(
      gemm.a_bt(no_depth_a, no_depth_b, bias.view(), Into::overwrite, c.view(), test_stream()),
      std::invalid_argument);
  GuardedMatrix a(2, 4), b(3, 4);
  CHECK_THROWS_AS(gemm.a_bt(a.view(), b.view(), bias.view().cols_from(0, 2), Into::overwrite,
                            c.view(), test_stream()),
                  std::invalid_argument);
}

TEST_CASE("gemm: in tf32 operands lose all but 10 bits behind the point", "[kernels]") {
  if (test_stream() == nullptr) return;
  // Rounded down, an operand loses less than 2^-10 of itself.
  const double both = 2 * 0x1p-10 + 0x1p-20;
  for (const Gemm& gemm : device_gemms(std::make_shared<cuda::Gemm>(Precision::tf32)))
    for (Into into : {Into::overwrite, Into::add}) {
      check_product(gemm, into, 33, 65, 17, 3, both);
      check_product(gemm, into, 64, 128, 256, 0, both);
      // Whole numbers of 11 bits come through untouched.
      std::mt19937_64 random(125);
      GuardedMatrix a = operand(20, 24, gemm.a_turned, 0, random);
      GuardedMatrix b = operand(24, 28, gemm.b_turned, 0, random);
      for (GuardedMatrix* m : {&a, &b})
        for (int64_t r = 0; r < m->view().rows; ++r)
          for (int64_t c = 0; c < m->view().cols; ++c) m->view()(r, c) = float(r % 7) - 1024.0f;
      GuardedMatrix exact(20, 28), c = exact;
      const Gemm on_cpu = cpu_gemms()[gemm.a_turned ? 2 : gemm.b_turned ? 0 : 1];
      on_cpu.multiply(a.view(), b.view(), Into::overwrite, exact.view());
      gemm.multiply(a.view(), b.view(), Into::overwrite, c.view());
      Agreement agreement;
      for (int64_t i = 0; i < 20; ++i)
        for (int64_t j = 0; j < 28; ++j)
          agreement.compare(c.view()(i, j), exact.view()(i, j),
                            rounding_bound(24, std::abs(double(exact.view()(i, j)))), "row ", i,
                            ", column ", j);
      INFO(agreement.text());
      CHECK(agreement.holds());
    }
}

namespace {

template <class T>
GuardedMatrixOf<T> stored_operand(int64_t rows, int64_t cols, bool turned, int64_t padding,
                                  std::mt19937_64& random) {
  GuardedMatrixOf<T> m(turned ? cols : rows, turned ? rows : cols, padding);
  m.fill_normal(random);
  return m;
}
double as_double(float x) { return x; }
double as_double(Bf16 x) { return to_float(x); }

// Operands of bfloat16 are multiplied as they are stored, and summed in float32; a result of
// bfloat16 is rounded once more.
template <class Result>
void check_bf16_product(cuda::Gemm& gemm, cuda::Product product, Into into, int64_t m, int64_t n,
                        int64_t k, int64_t padding) {
  const bool a_turned = product == cuda::Product::at_b, b_turned = product == cuda::Product::a_bt;
  const int64_t biases = b_turned && k > 0 ? 1 : 0;
  CAPTURE(int(product), into == Into::add, m, n, k, padding, sizeof(Result));
  std::mt19937_64 random(126);
  const auto a = stored_operand<Bf16>(m, k, a_turned, padding, random);
  const auto b = stored_operand<Bf16>(k, n, b_turned, padding + 1, random);
  const auto bias = stored_operand<Result>(biases, n, false, padding, random);
  auto c = stored_operand<Result>(m, n, false, padding + 2, random);
  const auto before = c;
  switch (product) {
    case cuda::Product::a_bt:
      gemm.a_bt(a.view(), b.view(), bias.view(), into, c.view(), test_stream());
      break;
    case cuda::Product::a_b: gemm.a_b(a.view(), b.view(), into, c.view(), test_stream()); break;
    case cuda::Product::at_b: gemm.at_b(a.view(), b.view(), into, c.view(), test_stream()); break;
  }
  wait_for_device();
  Agreement agreement;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      Sum sum;
      if (biases > 0) sum.add(as_double(bias.view()(0, j)));
      if (into == Into::add) sum.add(as_double(before.view()(i, j)));
      for (int64_t p = 0; p < k; ++p)
        sum.add(as_double(a_turned ? a.view()(p, i) : a.view()(i, p)) *
                as_double(b_turned ? b.view()(j, p) : b.view()(p, j)));
      double bound = rounding_bound(sum);
      if (std::is_same_v<Result, Bf16>)
        bound += double(kBf16Rounding) * (std::abs(sum.value) + bound);
      agreement.compare(as_double(c.view()(i, j)), sum.value, bound, "row ", i, ", column ", j);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(c.guards_untouched());
}

}  // namespace

TEST_CASE("gemm: operands stored as bfloat16, results as either", "[kernels]") {
  if (test_stream() == nullptr) return;
  cuda::Gemm gemm(Precision::bf16);
  for (cuda::Product product : {cuda::Product::a_bt, cuda::Product::a_b, cuda::Product::at_b})
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t padding : {0, 3}) {
        check_bf16_product<float>(gemm, product, into, 33, 65, 17, padding);
        check_bf16_product<Bf16>(gemm, product, into, 33, 65, 17, padding);
        check_bf16_product<float>(gemm, product, into, 64, 128, 256, padding);
        check_bf16_product<Bf16>(gemm, product, into, 64, 128, 256, padding);
        check_bf16_product<float>(gemm, product, into, 5, 7, 0, padding);
        check_bf16_product<Bf16>(gemm, product, into, 5, 7, 0, padding);
      }
}

TEST_CASE("gemm: refuses operands that are not stored alike", "[kernels]") {
  if (test_stream() == nullptr) return;
  cuda::Gemm gemm(Precision::bf16);
  GuardedMatrix floats(4, 4), float_bias(1, 4);
  GuardedMatrixOf<Bf16> rounded(4, 4), rounded_bias(1, 4);
  const auto call = [&](ConstStoredView a, ConstStoredView b, ConstStoredView bias, StoredView c) {
    gemm.a_bt(a, b, bias, Into::overwrite, c, test_stream());
    wait_for_device();
  };
  std::mt19937_64 random(127);
  floats.fill_normal(random);
  rounded.fill_normal(random);
  GuardedMatrix c(4, 4);
  GuardedMatrixOf<Bf16> rounded_c(4, 4);
  CHECK_NOTHROW(call(floats.view(), floats.view(), float_bias.view(), c.view()));
  CHECK_NOTHROW(call(rounded.view(), rounded.view(), float_bias.view(), c.view()));
  CHECK_NOTHROW(call(rounded.view(), rounded.view(), rounded_bias.view(), rounded_c.view()));
  CHECK_THROWS_AS(call(rounded.view(), floats.view(), {}, c.view()), std::invalid_argument);
  CHECK_THROWS_AS(call(floats.view(), rounded.view(), {}, c.view()), std::invalid_argument);
  CHECK_THROWS_AS(call(floats.view(), floats.view(), {}, rounded_c.view()), std::invalid_argument);
  CHECK_THROWS_AS(call(rounded.view(), rounded.view(), rounded_bias.view(), c.view()),
                  std::invalid_argument);
  CHECK_THROWS_AS(call(rounded.view(), rounded.view(), float_bias.view(), rounded_c.view()),
                  std::invalid_argument);
}
#endif

}  // namespace rec::test
