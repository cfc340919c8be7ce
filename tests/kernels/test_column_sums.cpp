// column_sums against plain sums in double precision.
#if defined(REC_CUDA)
#include <catch2/catch.hpp>

#include <limits>
#include <random>
#include <stdexcept>

#include "kernels/common/column_sums.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

double as_double(float x) { return x; }
double as_double(Bf16 x) { return to_float(x); }

template <class T>
void sum_columns(const GuardedMatrixOf<T>& first, const GuardedMatrixOf<T>& second,
                 GuardedMatrix& sum) {
  const int64_t cols = sum.view().cols;
  Values<std::byte> scratch(
      size_t(cuda::column_sums_scratch_bytes(first.view().rows + second.view().rows, cols)));
  cuda::column_sums(first.view(), second.view(), {sum.view().data, cols},
                    {scratch.data(), int64_t(scratch.size())}, test_stream());
  wait_for_device();
}

}  // namespace

TEMPLATE_TEST_CASE("column_sums: two matrices, summed in double", "[kernels]", float, Bf16) {
  using Stored = GuardedMatrixOf<TestType>;
  if (test_stream() == nullptr) return;
  const bool aligned = GENERATE(false, true);
  // Rows around a panel of 64, and so many that panels grow.
  for (int64_t first_rows : {0, 1, 63, 64, 65, 9000})
    for (int64_t second_rows : {0, 1, 70})
      for (int64_t cols : {1, 31, 64, 65, 200}) {
        if (first_rows == 9000 && cols > 64) continue;
        CAPTURE(first_rows, second_rows, cols, aligned);
        std::mt19937_64 random(131);
        const auto matrix = [&](int64_t rows) {
          Stored m = aligned ? Stored::aligned(rows, cols) : Stored(rows, cols);
          return m.fill_normal(random);
        };
        const Stored first = matrix(first_rows), second = matrix(second_rows);
        GuardedMatrix sum(1, cols), again(1, cols);
        sum_columns(first, second, sum);
        sum_columns(first, second, again);
        CHECK(same_bits(sum.view(), again.view()));
        CHECK(sum.guards_untouched());
        Agreement agreement;
        for (int64_t c = 0; c < cols; ++c) {
          Sum want;
          for (int64_t r = 0; r < first_rows; ++r) want.add(as_double(first.view()(r, c)));
          for (int64_t r = 0; r < second_rows; ++r) want.add(as_double(second.view()(r, c)));
          agreement.compare(
              sum.view()(0, c), want.value,
              rounding_bound(1, std::abs(want.value)) +
                  double(want.terms) * std::numeric_limits<double>::epsilon() * want.magnitude,
              "column ", c);
        }
        INFO(agreement.text());
        CHECK(agreement.holds());
      }
}

TEST_CASE("column_sums: refuses shapes that do not match, and too little scratch", "[kernels]") {
  if (test_stream() == nullptr) return;
  const GuardedMatrix five(3, 5), four(2, 4);
  GuardedMatrix sum(1, 5);
  CHECK_NOTHROW(sum_columns(five, GuardedMatrix(0, 5), sum));
  CHECK_THROWS_AS(sum_columns(four, five, sum), std::invalid_argument);
  CHECK_THROWS_AS(sum_columns(five, four, sum), std::invalid_argument);
  CHECK_THROWS_AS(cuda::column_sums(five.view(), five.view(), {sum.view().data, 5}, {}, nullptr),
                  std::invalid_argument);
}

}  // namespace rec::test
#endif
