// The three matrix products against plain loops in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "kernels/common/gemm.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"

namespace rec::test {
namespace {

using cpu::Into;

// One of the products, with its operands stored as it wants them.
struct Gemm {
  const char* name;
  void (*multiply)(MatrixView<const float>, MatrixView<const float>, Into, MatrixView<float>);
  bool a_turned, b_turned;  // stored [k, m], [n, k]
};
constexpr Gemm kGemms[] = {{"a_bt", cpu::gemm_a_bt, false, true},
                           {"a_b", cpu::gemm_a_b, false, false},
                           {"at_b", cpu::gemm_at_b, true, false}};

GuardedMatrix operand(int64_t rows, int64_t cols, bool turned, int64_t padding,
                      std::mt19937_64& random) {
  GuardedMatrix m(turned ? cols : rows, turned ? rows : cols, padding);
  m.fill_normal(random);
  return m;
}

void check_product(const Gemm& gemm, Into into, int64_t m, int64_t n, int64_t k, int64_t padding) {
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
      agreement.compare(c.view()(i, j), sum.value, rounding_bound(sum), "row ", i, ", column ", j);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(c.guards_untouched());
}

}  // namespace

TEST_CASE("gemm: the three products match plain sums", "[kernels]") {
  for (const Gemm& gemm : kGemms)
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t m : {1, 2, 17, 64})
        for (int64_t n : {1, 3, 31, 100})
          for (int64_t k : {1, 5, 33, 128}) check_product(gemm, into, m, n, k, 3);
}

TEST_CASE("gemm: without padding, and beyond one block", "[kernels]") {
  for (const Gemm& gemm : kGemms)
    for (Into into : {Into::overwrite, Into::add}) {
      check_product(gemm, into, 33, 65, 17, 0);
      check_product(gemm, into, 130, 70, 700, 1);
    }
}

// A sum of nothing is 0: overwriting clears, adding leaves c as it was.
TEST_CASE("gemm: empty dimensions", "[kernels]") {
  for (const Gemm& gemm : kGemms)
    for (Into into : {Into::overwrite, Into::add})
      for (int64_t padding : {0, 3}) {
        check_product(gemm, into, 5, 7, 0, padding);
        check_product(gemm, into, 64, 100, 0, padding);
        check_product(gemm, into, 0, 7, 4, padding);
        check_product(gemm, into, 5, 0, 4, padding);
        check_product(gemm, into, 0, 0, 0, padding);
      }
  // Views of no memory at all, as an empty vector gives them.
  float c[6] = {1, 2, 3, 4, 5, 6};
  const MatrixView<const float> nothing(nullptr, 0, 0);
  cpu::gemm_a_bt({nullptr, 2, 0}, {nullptr, 3, 0}, Into::add, {c, 2, 3});
  CHECK((c[0] == 1 && c[5] == 6));
  cpu::gemm_at_b({nullptr, 0, 2}, {nullptr, 0, 3}, Into::overwrite, {c, 2, 3});
  for (float value : c) CHECK(value == 0);
  CHECK_NOTHROW(cpu::gemm_a_b(nothing, nothing, Into::add, {nullptr, 0, 0}));
}

// Kernels call it for fixed panels inside their own OpenMP regions.
TEST_CASE("gemm: panels have the same bits on 1, 2 and 3 threads", "[kernels][threads]") {
  constexpr int64_t kRows = 600, kInner = 65, kCols = 33, kPanel = 64;
  std::mt19937_64 random(122);
  for (const Gemm& gemm : kGemms) {
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
  std::mt19937_64 random(123);
  for (const Gemm& gemm : kGemms) {
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
  CHECK_THROWS_AS(cpu::gemm_a_b(far, one, cpu::Into::overwrite, one), std::invalid_argument);
  CHECK_THROWS_AS(cpu::gemm_a_b(one, one, cpu::Into::overwrite, far), std::invalid_argument);
}

}  // namespace rec::test
