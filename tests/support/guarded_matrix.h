// A float matrix with stride padding and guard values all around, to notice a write out of place.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>

#include "kernels/common/views.h"
#include "tests/support/values.h"

namespace rec::test {

class GuardedMatrix {
 public:
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
    for (int64_t p = 0; p < int64_t(cells_.size()); ++p) {
      const int64_t offset = p - before_;
      const bool inside = offset >= 0 && offset < rows_ * stride_ && offset % stride_ < cols_;
      if (!inside && cells_[size_t(p)] != kGuard) return false;
    }
    return true;
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
  }

  int64_t rows_, cols_, stride_, before_;
  Values<float> cells_;
};

}  // namespace rec::test
