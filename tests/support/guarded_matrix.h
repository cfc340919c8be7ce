// A float matrix with stride padding and guard values all around, to notice a write out of place.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/common/views.h"

namespace rec::test {

class GuardedMatrix {
 public:
  GuardedMatrix(int64_t rows, int64_t cols, int64_t padding = 3)
      : rows_(rows),
        cols_(cols),
        stride_(cols + padding),
        cells_(kBefore + rows * stride_ + kAfter, kGuard) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) view()(r, c) = kUnset;
  }

  MatrixView<float> view() { return {cells_.data() + kBefore, rows_, cols_, stride_}; }
  MatrixView<const float> view() const { return {cells_.data() + kBefore, rows_, cols_, stride_}; }

  GuardedMatrix& fill_normal(std::mt19937_64& random, float deviation = 1.0f) {
    std::normal_distribution<float> normal(0.0f, deviation);
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t c = 0; c < cols_; ++c) view()(r, c) = normal(random);
    return *this;
  }

  // True when nothing outside the matrix was written.
  bool guards_untouched() const {
    for (int64_t p = 0; p < int64_t(cells_.size()); ++p) {
      const int64_t offset = p - kBefore;
      const bool inside = offset >= 0 && offset < rows_ * stride_ && offset % stride_ < cols_;
      if (!inside && cells_[size_t(p)] != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr int64_t kBefore = 17;  // odd, so that rows are not aligned by luck
  static constexpr int64_t kAfter = 16;
  static constexpr float kGuard = -7.25e11f;
  static constexpr float kUnset = 3.5e11f;  // an output that was never written is far off

  int64_t rows_, cols_, stride_;
  std::vector<float> cells_;
};

}  // namespace rec::test
