// A matrix with stride padding and guard values all around, to notice a write out of place.
// AddressSanitizer notices reads as well.
#pragma once
#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>

#include "kernels/common/bf16.h"
#include "kernels/common/views.h"
#include "tests/support/values.h"

namespace rec::test {

// T: float, or Bf16
template <class T>
class GuardedMatrixOf {
 public:
  GuardedMatrixOf(const GuardedMatrixOf& from)
      : GuardedMatrixOf(from.rows_, from.cols_, from.stride_ - from.cols_, from.before_) {
    for (int64_t r = 0; r < rows_; ++r) std::copy_n(from.view().row(r), cols_, view().row(r));
  }
  GuardedMatrixOf(GuardedMatrixOf&&) = default;
  GuardedMatrixOf& operator=(const GuardedMatrixOf& from) { return *this = GuardedMatrixOf(from); }
  GuardedMatrixOf& operator=(GuardedMatrixOf&&) = default;
  // Rows that are not aligned by luck, unless alignment (a number of values) asks for it.
  GuardedMatrixOf(int64_t rows, int64_t cols, int64_t padding = 3)
      : GuardedMatrixOf(rows, cols, padding, kOddBefore) {}
  static GuardedMatrixOf aligned(int64_t rows, int64_t cols, int64_t alignment = 4) {
    return {rows, cols, alignment + (alignment - cols % alignment) % alignment, kAlignedBefore};
  }

  MatrixView<T> view() { return {cells_.data() + before_, rows_, cols_, stride_}; }
  MatrixView<const T> view() const { return {cells_.data() + before_, rows_, cols_, stride_}; }

  GuardedMatrixOf& fill_normal(std::mt19937_64& random, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0.0f, deviation);
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t c = 0; c < cols_; ++c) view()(r, c) = stored(normal(random));
    return *this;
  }

  // True when nothing outside the matrix was written.
  bool guards_untouched() const {
    bool untouched = true;
    for_each_guard([&](const T* first, int64_t count) {
      ASAN_UNPOISON_MEMORY_REGION(first, sizeof(T) * size_t(count));
      for (int64_t p = 0; p < count; ++p) untouched = untouched && same(first[p], stored(kGuard));
      ASAN_POISON_MEMORY_REGION(first, sizeof(T) * size_t(count));
    });
    return untouched;
  }

 private:
  static constexpr int64_t kOddBefore = 17;
  static constexpr int64_t kAlignedBefore = 32;
  static constexpr int64_t kAfter = 16;
  static constexpr float kGuard = -7.25e11f;
  static constexpr float kUnset = 3.5e11f;  // an output that was never written is far off

  GuardedMatrixOf(int64_t rows, int64_t cols, int64_t padding, int64_t before)
      : rows_(rows),
        cols_(cols),
        stride_(cols + padding),
        before_(before),
        cells_(size_t(before + rows * stride_ + kAfter), stored(kGuard)) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) view()(r, c) = stored(kUnset);
    for_each_guard([](const T* first, int64_t count) {
      ASAN_POISON_MEMORY_REGION(first, sizeof(T) * size_t(count));
    });
  }

  // f(first, count): before the first row, behind each row, behind the last.
  template <class F>
  void for_each_guard(F f) const {
    const T* const cells = cells_.data();
    f(cells, before_);
    for (int64_t r = 0; r < rows_; ++r) f(cells + before_ + r * stride_ + cols_, stride_ - cols_);
    f(cells + before_ + rows_ * stride_, kAfter);
  }

  static T stored(float x) {
    if constexpr (std::is_same_v<T, Bf16>)
      return to_bf16(x);
    else
      return x;
  }
  static bool same(T a, T b) { return std::memcmp(&a, &b, sizeof(T)) == 0; }

  int64_t rows_, cols_, stride_, before_;
  Values<T> cells_;
};
using GuardedMatrix = GuardedMatrixOf<float>;

}  // namespace rec::test
