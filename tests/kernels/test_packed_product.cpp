// Products with packed rows against plain loops in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/common/packed_product.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"

namespace rec::test {
namespace {

// packed_size floats, and no more may be written
std::vector<float> packed(MatrixView<const float> b) {
  constexpr float kGuard = -3.5f;
  const size_t size = size_t(cpu::packed_size(b.rows, b.cols));
  std::vector<float> to(size + 1, kGuard);
  for (int64_t s = 0; s < ceil_div(b.rows, cpu::strip_rows()); ++s)
    cpu::pack_strip(b, s, to.data());
  CHECK(to[size] == kGuard);
  return to;
}

GuardedMatrix product(MatrixView<const float> a, MatrixView<const float> b) {
  const std::vector<float> strips = packed(b);
  GuardedMatrix c(a.rows, b.rows, 2);
  cpu::multiply_packed(a, {strips.data(), b.rows, b.cols}, c.view());
  CHECK(c.guards_untouched());
  return c;
}

GuardedMatrix random_matrix(int64_t rows, int64_t cols, int64_t padding, std::mt19937_64& random) {
  GuardedMatrix m(rows, cols, padding);
  m.fill_normal(random);
  return m;
}

}  // namespace

TEST_CASE("packed product: matches plain sums", "[kernels]") {
  std::mt19937_64 random(131);
  for (int64_t m : {1, 5, 6, 7, 12, 13, 24, 31}) {
    for (int64_t rows : {1, 8, 15, 16, 17, 32, 33, 100}) {
      for (int64_t dim : {0, 1, 3, 16, 64, 255, 256, 257, 600}) {
        CAPTURE(m, rows, dim);
        const GuardedMatrix a = random_matrix(m, dim, 1, random);
        const GuardedMatrix b = random_matrix(rows, dim, 3, random);
        const GuardedMatrix c = product(a.view(), b.view());
        Agreement agreement;
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < rows; ++j) {
            Sum sum;
            for (int64_t d = 0; d < dim; ++d) sum.add(double(a.view()(i, d)) * b.view()(j, d));
            agreement.compare(c.view()(i, j), sum.value, rounding_bound(sum), "row ", i,
                              ", column ", j);
          }
        }
        INFO(agreement.text());
        CHECK(agreement.holds());
      }
    }
  }
}

TEST_CASE("packed product: rows packed one by one are the transpose packed in strips",
          "[kernels]") {
  std::mt19937_64 random(135);
  for (int64_t rows : {1, 7, 33})
    for (int64_t cols : {1, 15, 16, 17, 32, 33, 64, 100}) {
      CAPTURE(rows, cols);
      const GuardedMatrix b = random_matrix(rows, cols, 3, random);
      GuardedMatrix turned(cols, rows, 2);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) turned.view()(c, r) = b.view()(r, c);
      std::vector<float> by_row(packed(turned.view()).size(), -3.5f);  // packed()'s guard
      for (int64_t r = 0; r < rows; ++r) cpu::pack_row(b.view(), r, by_row.data());
      CHECK(by_row == packed(turned.view()));
    }
}

TEST_CASE("packed product: a value does not depend on the rows around it", "[kernels]") {
  std::mt19937_64 random(132);
  for (int64_t dim : {7, 64, 300}) {
    const GuardedMatrix a = random_matrix(40, dim, 0, random);
    const GuardedMatrix b = random_matrix(70, dim, 0, random);
    const GuardedMatrix whole = product(a.view(), b.view());
    for (int64_t i : {0, 11, 25, 39}) {
      for (int64_t j : {0, 31, 40, 69}) {
        CAPTURE(dim, i, j);
        const GuardedMatrix alone = product(a.view().rows_from(i, 1), b.view().rows_from(j, 1));
        CHECK(alone.view()(0, 0) == whole.view()(i, j));
      }
    }
  }
}

// Strips are filled up with zeros, and a zero times infinity is a NaN: it must stay there.
TEST_CASE("packed product: what is not finite stays in its row and column", "[kernels]") {
  std::mt19937_64 random(133);
  GuardedMatrix a = random_matrix(7, 5, 0, random), b = random_matrix(19, 5, 0, random);
  a.view()(6, 2) = std::numeric_limits<float>::infinity();
  b.view()(18, 1) = std::numeric_limits<float>::quiet_NaN();
  const GuardedMatrix c = product(a.view(), b.view());
  for (int64_t i = 0; i < 7; ++i)
    for (int64_t j = 0; j < 19; ++j) CHECK(std::isfinite(c.view()(i, j)) == (i != 6 && j != 18));
}

TEST_CASE("packed product: refuses shapes that do not fit", "[kernels]") {
  std::mt19937_64 random(134);
  const GuardedMatrix a = random_matrix(4, 6, 0, random), b = random_matrix(9, 6, 0, random);
  const std::vector<float> strips = packed(b.view());
  GuardedMatrix c(4, 9);
  const auto refused = [&](MatrixView<const float> left, int64_t rows, int64_t dim) {
    CHECK_THROWS_AS(cpu::multiply_packed(left, {strips.data(), rows, dim}, c.view()),
                    std::invalid_argument);
  };
  refused(a.view().rows_from(0, 3), 9, 6);
  refused(a.view(), 8, 6);
  refused(a.view(), 9, 5);
}

}  // namespace rec::test
