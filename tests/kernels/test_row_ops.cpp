// The inner loops over rows against plain sums in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/common/row_ops.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"

namespace rec::test {
namespace {

// Around vector registers of 4, 8 and 16 floats and around what is kept in registers at once.
constexpr int64_t kWidths[] = {1,  2,  3,  4,  5,  7,  8,  9,  15,  16,  17,  31,  32,  33,  47,
                               48, 49, 63, 64, 65, 79, 80, 81, 127, 128, 129, 145, 200, 384, 1000};
// None, one, and enough that rows are asked for ahead and the asking must stop in time.
constexpr int64_t kCounts[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 700};
constexpr int64_t kTableRows = 37;
constexpr int64_t kCacheLine = 16;  // floats

// Rows of a table in no order, some of them many times, the last one among them. Exactly `count`
// ids are allocated, so that a sanitizer sees a read past them.
std::vector<int32_t> random_rows(int64_t count, std::mt19937_64& random) {
  std::uniform_int_distribution<int32_t> uniform(0, int32_t(kTableRows - 1));
  std::vector<int32_t> rows(static_cast<size_t>(count));
  for (int32_t& row : rows) row = uniform(random);
  if (count > 0) rows.back() = int32_t(kTableRows - 1);
  return rows;
}

GuardedMatrix random_table(int64_t rows, int64_t width, int64_t padding, std::mt19937_64& random) {
  GuardedMatrix table(rows, width, padding);
  table.fill_normal(random);
  return table;
}

}  // namespace

TEST_CASE("row_ops: dot matches a plain sum", "[kernels]") {
  std::mt19937_64 random(131);
  CHECK(cpu::dot(nullptr, nullptr, 0) == 0.0f);
  for (int64_t width : kWidths) {
    const GuardedMatrix rows = random_table(2, width, 3, random);
    Sum want;
    for (int64_t c = 0; c < width; ++c)
      want.add(double(rows.view()(0, c)) * double(rows.view()(1, c)));
    CAPTURE(width);
    CHECK(std::abs(cpu::dot(rows.view().row(0), rows.view().row(1), width) - want.value) <=
          rounding_bound(want));
  }
}

TEST_CASE("row_ops: dots_with_rows matches plain sums", "[kernels]") {
  std::mt19937_64 random(132);
  Agreement agreement;
  for (int64_t width : kWidths)
    for (int64_t count : kCounts) {
      const GuardedMatrix table = random_table(kTableRows, width, 3, random);
      const GuardedMatrix u = random_table(1, width, 0, random);
      const std::vector<int32_t> rows = random_rows(count, random);
      GuardedMatrix out(1, count);
      cpu::dots_with_rows(u.view().row(0), table.view(), rows.data(), count, out.view().row(0));
      for (int64_t j = 0; j < count; ++j) {
        Sum want;
        for (int64_t c = 0; c < width; ++c)
          want.add(double(u.view()(0, c)) * double(table.view()(rows[size_t(j)], c)));
        agreement.compare(out.view()(0, j), want.value, rounding_bound(want), "width ", width,
                          ", count ", count, ", row ", j);
      }
      if (!out.guards_untouched())
        FAIL("wrote out of place: width " << width << ", count " << count);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

TEST_CASE("row_ops: sums of rows match plain sums, weighted or not", "[kernels]") {
  std::mt19937_64 random(133);
  std::normal_distribution<float> normal;
  Agreement plain, weighted;
  for (int64_t width : kWidths)
    for (int64_t count : kCounts) {
      const GuardedMatrix table = random_table(kTableRows, width, 3, random);
      const std::vector<int32_t> rows = random_rows(count, random);
      std::vector<float> weight(rows.size());
      for (float& w : weight) w = normal(random);
      GuardedMatrix sum(1, width), weighted_sum(1, width);
      cpu::sum_of_rows(table.view(), rows.data(), count, sum.view().row(0));
      cpu::weighted_sum_of_rows(table.view(), rows.data(), weight.data(), count,
                                weighted_sum.view().row(0));
      for (int64_t c = 0; c < width; ++c) {
        Sum want, want_weighted;
        for (size_t j = 0; j < rows.size(); ++j) {
          want.add(table.view()(rows[j], c));
          want_weighted.add(double(weight[j]) * double(table.view()(rows[j], c)));
        }
        plain.compare(sum.view()(0, c), want.value, rounding_bound(want), "width ", width,
                      ", count ", count, ", column ", c);
        weighted.compare(weighted_sum.view()(0, c), want_weighted.value,
                         rounding_bound(want_weighted), "width ", width, ", count ", count,
                         ", column ", c);
      }
      if (!sum.guards_untouched() || !weighted_sum.guards_untouched())
        FAIL("wrote out of place: width " << width << ", count " << count);
    }
  INFO(plain.text());
  CHECK(plain.holds());
  INFO(weighted.text());
  CHECK(weighted.holds());
}

// Not those of the others, which are no numbers here.
TEST_CASE("row_ops: sum_of_rows of some users has the bits of the sum over them alone",
          "[kernels]") {
  std::mt19937_64 random(138);
  std::vector<int64_t> row_start{0};
  for (int64_t u = 0; u < kTableRows; ++u)
    row_start.push_back(row_start.back() + int64_t(random() % 3 == 0));
  const UserSubset users{{row_start.data(), kTableRows + 1}};
  for (int64_t width : kWidths)
    for (int64_t count : kCounts) {
      CAPTURE(width, count);
      GuardedMatrix table = random_table(kTableRows, width, 3, random);
      const std::vector<int32_t> rows = random_rows(count, random);
      std::vector<int32_t> theirs;
      for (int32_t row : rows)
        if (users.has(row)) theirs.push_back(row);
      GuardedMatrix want(1, width), sum(1, width);
      cpu::sum_of_rows(table.view(), theirs.data(), int64_t(theirs.size()), want.view().row(0));
      for (int64_t u = 0; u < kTableRows; ++u)
        if (!users.has(u))
          std::fill_n(table.view().row(u), width, std::numeric_limits<float>::quiet_NaN());
      cpu::sum_of_rows(table.view(), rows.data(), count, users, sum.view().row(0));
      CHECK(same_bits(sum.view(), want.view()));
      CHECK(sum.guards_untouched());
    }
}

TEST_CASE("row_ops: add_scaled matches the formula", "[kernels]") {
  std::mt19937_64 random(134);
  cpu::add_scaled(2.0f, nullptr, nullptr, 0);
  Agreement agreement;
  for (int64_t width : kWidths)
    for (float a : {0.0f, 1.0f, -0.3f}) {
      const GuardedMatrix x = random_table(1, width, 0, random);
      GuardedMatrix y = random_table(1, width, 3, random);
      const GuardedMatrix before = y;
      cpu::add_scaled(a, x.view().row(0), y.view().row(0), width);
      for (int64_t c = 0; c < width; ++c) {
        Sum want;
        want.add(before.view()(0, c));
        want.add(double(a) * double(x.view()(0, c)));
        agreement.compare(y.view()(0, c), want.value, rounding_bound(want), "width ", width,
                          ", column ", c);
      }
      if (!y.guards_untouched()) FAIL("wrote out of place: width " << width);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

// A result depends on the values, not on where in memory they are.
TEST_CASE("row_ops: the same bits at every alignment", "[kernels]") {
  constexpr int64_t kCount = 21;
  std::mt19937_64 random(135);
  std::normal_distribution<float> normal;
  for (int64_t width : kWidths) {
    CAPTURE(width);
    const GuardedMatrix values = random_table(kTableRows, width, 0, random);
    const std::vector<int32_t> rows = random_rows(kCount, random);
    std::vector<float> weight(rows.size());
    for (float& w : weight) w = normal(random);
    // Everything the operations make of the table: dots, the two sums, a scaled row.
    const auto run = [&](int64_t shift, int64_t padding) {
      const int64_t stride = width + padding;
      std::vector<float> cells(size_t(shift + kTableRows * stride));
      const MatrixView<float> table(cells.data() + shift, kTableRows, width, stride);
      for (int64_t r = 0; r < kTableRows; ++r)
        std::copy_n(values.view().row(r), width, table.row(r));
      std::vector<float> made(size_t(shift + kCount + 1 + 3 * width));
      float* dots = made.data() + shift;
      float* sum = dots + kCount + 1;
      dots[kCount] = cpu::dot(table.row(1), table.row(2), width);
      cpu::dots_with_rows(table.row(0), table, rows.data(), kCount, dots);
      cpu::sum_of_rows(table, rows.data(), kCount, sum);
      cpu::weighted_sum_of_rows(table, rows.data(), weight.data(), kCount, sum + width);
      cpu::add_scaled(0.3f, table.row(3), sum + 2 * width, width);
      made.erase(made.begin(), made.begin() + shift);
      return made;
    };
    const std::vector<float> first = run(0, 0);
    for (int64_t shift = 0; shift < kCacheLine; ++shift)
      for (int64_t padding : {0, 1, 3}) {
        const std::vector<float> here = run(shift, padding);
        CAPTURE(shift, padding);
        CHECK(std::memcmp(here.data(), first.data(), sizeof(float) * first.size()) == 0);
      }
  }
}

TEST_CASE("row_ops: largest_of finds it wherever it stands", "[kernels]") {
  std::mt19937_64 random(137);
  for (int64_t width : kWidths) {
    CAPTURE(width);
    GuardedMatrix row = random_table(1, width, 3, random);
    for (int64_t at : {int64_t{0}, width / 2, width - 1}) {
      row.view()(0, at) += 100.0f;
      CHECK(cpu::largest_of(row.view().row(0), width) == row.view()(0, at));
      row.view()(0, at) -= 200.0f;  // and no zero is taken for a value
      for (int64_t c = 0; c < width; ++c) row.view()(0, c) -= 300.0f;
    }
  }
}

TEST_CASE("row_ops: exp_weights matches exp, and their sum", "[kernels]") {
  std::mt19937_64 random(138);
  const double epsilon = std::numeric_limits<float>::epsilon();
  CHECK(cpu::exp_weights(nullptr, 0, 1.0f, 2.0f) == 0.0);
  for (int64_t width : kWidths) {
    CAPTURE(width);
    GuardedMatrix row = random_table(1, width, 3, random);
    const float largest = cpu::largest_of(row.view().row(0), width), factor = 4.0f;
    const GuardedMatrix before = row;
    const double sum = cpu::exp_weights(row.view().row(0), width, largest, factor);
    double total = 0;
    Agreement agreement;
    for (int64_t c = 0; c < width; ++c) {
      const float x = (before.view()(0, c) - largest) * factor;
      agreement.compare(row.view()(0, c), std::exp(double(x)), epsilon * std::exp(double(x)),
                        "column ", c);
      total += double(row.view()(0, c));
    }
    INFO(agreement.text());
    CHECK(agreement.holds());
    CHECK(std::abs(sum - total) <= double(width) * std::numeric_limits<double>::epsilon() * total);
    CHECK(row.guards_untouched());
  }
}

}  // namespace rec::test
