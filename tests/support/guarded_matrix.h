// A matrix with stride padding and guard values all around, to notice a write out of place.
#pragma once
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
    for (int64_t p = 0; p < int64_t(cells_.size()); ++p) {
      const int64_t offset = p - before_;
      const bool inside = offset >= 0 && offset < rows_ * stride_ && offset % stride_ < cols_;
      if (!inside && !same(cells_[size_t(p)], stored(kGuard))) return false;
    }
    return true;
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
