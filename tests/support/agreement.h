// Compares many values with a bound each, and keeps the first
// that is out of bounds for the failure's text.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>

#include "kernels/common/views.h"
#include "tests/support/closeness.h"

namespace rec::test {

class Agreement {
 public:
  // what: "row 3, column 5"-like words, streamed only for the first value out of bounds.
  template <class... Words>
  void compare(double got, double want, double bound, const Words&... what) {
    ++compared_;
    if (std::abs(got - want) <= bound) return;  // false for NaN
    if (out_of_bounds_++ > 0) return;
    std::ostringstream text;
    text.precision(9);
    (text << ... << what);
    text << ": got " << got << ", want " << want << " +- " << bound;
    first_ = text.str();
  }

  bool holds() const { return out_of_bounds_ == 0; }
  std::string text() const {
    return std::to_string(out_of_bounds_) + " of " + std::to_string(compared_) +
           " values out of bounds; first " + first_;
  }

 private:
  int64_t compared_ = 0;
  int64_t out_of_bounds_ = 0;
  std::string first_;
};

// True when both matrices hold the same bits.
inline bool same_bits(MatrixView<const float> a, MatrixView<const float> b) {
  if (a.rows != b.rows || a.cols != b.cols) return false;
  for (int64_t r = 0; r < a.rows; ++r)
    if (a.cols > 0 && std::memcmp(a.row(r), b.row(r), sizeof(float) * size_t(a.cols)) != 0)
      return false;
  return true;
}

}  // namespace rec::test
