// A float matrix with stride padding and guard values all around, to notice a write out of place.
// AddressSanitizer notices reads as well.
#pragma once
#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>

#include "kernels/common/views.h"
#include "tests/support/values.h"

namespace rec::test {

class GuardedMatrix {
 public:
  GuardedMatrix(const GuardedMatrix& from)
      : GuardedMatrix(from.rows_, from.cols_, from.stride_ - from.cols_, from.before_) {
    for (int64_t r = 0; r < rows_; ++r) std::copy_n(from.view().row(r), cols_, view().row(r));
  }
  GuardedMatrix(GuardedMatrix&&) = default;
  GuardedMatrix& operator=(const GuardedMatrix& from) { return *this = GuardedMatrix(from); }
  GuardedMatrix& operator=(GuardedMatrix&&) = default;
  // Rows that are not aligned by luck, unless alignment (a number of floats) asks for it.
  GuardedMatrix(int64_t rows, int64_t cols, int64_t padding = 3)
      : GuardedMatrix(rows, cols, padding, kOddBefore) {}
  static GuardedMatrix aligned(int64_t rows, int64_t cols, int64_t alignment = 4) {
    return {rows, cols, alignment + (alignment - cols % alignment) % alignment, kAlignedBefore};
  }

  MatrixView<float> view() { return {cells_.data() + before_, rows_, cols_, stride_}; }
  MatrixView<const float> view() const { return {cells_.data() + before_, rows_, cols_, stride_}; }

  GuardedMatrix& fill_normal(std::mt19937_64& random, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0.0f, deviation);
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t c = 0; c < cols_; ++c) view()(r, c) = normal(random);
    return *this;
  }

  // True when nothing outside the matrix was written.
  bool guards_untouched() const {
    bool untouched = true;
    for_each_guard([&](const float* first, int64_t count) {
      ASAN_UNPOISON_MEMORY_REGION(first, sizeof(float) * size_t(count));
      for (int64_t p = 0; p < count; ++p) untouched = untouched && first[p] == kGuard;
      ASAN_POISON_MEMORY_REGION(first, sizeof(float) * size_t(count));
    });
    return untouched;
  }

 private:
  static constexpr int64_t kOddBefore = 17;
  static constexpr int64_t kAlignedBefore = 32;
  static constexpr int64_t kAfter = 16;
  static constexpr float kGuard = -7.25e11f;
  static constexpr float kUnset = 3.5e11f;  // an output that was never written is far off

  GuardedMatrix(int64_t rows, int64_t cols, int64_t padding, int64_t before)
      : rows_(rows),
        cols_(cols),
        stride_(cols + padding),
        before_(before),
        cells_(size_t(before + rows * stride_ + kAfter), kGuard) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) view()(r, c) = kUnset;
    for_each_guard([](const float* first, int64_t count) {
      ASAN_POISON_MEMORY_REGION(first, sizeof(float) * size_t(count));
    });
  }

  // f(first, count): before the first row, behind each row, behind the last.
  template <class F>
  void for_each_guard(F f) const {
    const float* const cells = cells_.data();
    f(cells, before_);
    for (int64_t r = 0; r < rows_; ++r) f(cells + before_ + r * stride_ + cols_, stride_ - cols_);
    f(cells + before_ + rows_ * stride_, kAfter);
  }

  int64_t rows_, cols_, stride_, before_;
  Values<float> cells_;
};

}  // namespace rec::test
