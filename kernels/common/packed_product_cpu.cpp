#include <algorithm>

#include "kernels/common/ceil_div.h"
#include "kernels/common/check.h"
#include "kernels/common/lanes.h"
#include "kernels/common/packed_product.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

// Rows of a by one strip of b are summed in registers: kRows x kVectors sums, the strip's two
// vectors and one value of a. 24 sums in 32 registers, 12 in 16: more than the products under way
// at once need, and whatever is loaded serves two products or more.
constexpr int kVectors = 2;
template <int64_t kLanes>
constexpr int64_t kStrip = kVectors* kLanes;
template <int64_t kLanes>
constexpr int kRows = kLanes == kWide ? 12 : 6;

constexpr int64_t kDims = 256;         // products of a sum before it is put down: 32 KB of a strip
constexpr int64_t kDimsTogether = 16;  // packed at once: so much of a strip stays in L1

// c [kRows, kStrip] (+)= the products of dims values of each row with a strip. g++ unrolls its loops
// as they are, with bounds that are constants, and so keeps the sums in registers.
template <int64_t kLanes>
REC_INTO_CLONES void multiply_block(const float* const (&row)[kRows<kLanes>], const float* strip,
                                    int64_t dims, bool add, float* c, int64_t stride) {
  Lanes<kLanes> sum[kRows<kLanes>][kVectors] = {};
  for (int64_t d = 0; d < dims; ++d, strip += kStrip<kLanes>) {
    Lanes<kLanes> one, next;
    load(strip, one);
    load(strip + kLanes, next);
    for (int r = 0; r < kRows<kLanes>; ++r) {
      sum[r][0] += row[r][d] * one;
      sum[r][1] += row[r][d] * next;
    }
  }
  if (add) {
    for (int r = 0; r < kRows<kLanes>; ++r) {
      Lanes<kLanes> one, next;
      load(c + r * stride, one);
      load(c + r * stride + kLanes, next);
      sum[r][0] += one;
      sum[r][1] += next;
    }
  }
  for (int r = 0; r < kRows<kLanes>; ++r) {
    store(sum[r][0], c + r * stride);
    store(sum[r][1], c + r * stride + kLanes);
  }
}

template <int64_t kLanes>
REC_INTO_CLONES void multiply(MatrixView<const float> a, const PackedRows& b, MatrixView<float> c) {
  constexpr int64_t kBlockRows = kRows<kLanes>, kCols = kStrip<kLanes>;
  for (int64_t d = 0; d == 0 || d < b.dim; d += kDims) {
    const int64_t dims = std::min(kDims, b.dim - d);
    for (int64_t col = 0; col < c.cols; col += kCols) {
      const float* const strip = b.data + col * b.dim + d * kCols;
      const int64_t cols = std::min(kCols, c.cols - col);
      for (int64_t first = 0; first < a.rows; first += kBlockRows) {
        const int64_t rows = std::min(kBlockRows, a.rows - first);
        const float* row[kBlockRows];  // beyond the last row the last again
        for (int64_t r = 0; r < kBlockRows; ++r) row[r] = a.row(first + std::min(r, rows - 1)) + d;
        if (rows == kBlockRows && cols == kCols) {
          multiply_block<kLanes>(row, strip, dims, d > 0, &c(first, col), c.stride);
          continue;
        }
        float block[kBlockRows * kCols];
        multiply_block<kLanes>(row, strip, dims, false, block, kCols);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t j = 0; j < cols; ++j) {
            const float sum = block[r * kCols + j];
            c(first + r, col + j) = d > 0 ? sum + c(first + r, col + j) : sum;
          }
        }
      }
    }
  }
}

REC_SIMD_CLONES void multiply_on_cpu(MatrixView<const float> a, const PackedRows& b,
                                     MatrixView<float> c) {
  switch (lanes_of_cpu()) {
    case kWide: return multiply<kWide>(a, b, c);
    case kNarrow: return multiply<kNarrow>(a, b, c);
    default: return multiply<kShort>(a, b, c);
  }
}

}  // namespace

int64_t strip_rows() { return kVectors * lanes_of_cpu(); }

int64_t packed_size(int64_t rows, int64_t dim) {
  return ceil_div(rows, strip_rows()) * strip_rows() * dim;
}

void pack_strip(MatrixView<const float> b, int64_t strip, float* packed) {
  const int64_t width = strip_rows(), first = strip * width;
  const int64_t rows = std::min(width, b.rows - first);
  float* const to = packed + first * b.cols;
  for (int64_t d = 0; d < b.cols; d += kDimsTogether) {
    const int64_t end = std::min(d + kDimsTogether, b.cols);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = d; c < end; ++c) to[c * width + r] = b(first + r, c);
  }
  if (rows == width) return;
  for (int64_t c = 0; c < b.cols; ++c) std::fill(to + c * width + rows, to + (c + 1) * width, 0.0f);
}

void pack_row(MatrixView<const float> b, int64_t r, float* packed) {
  const int64_t width = strip_rows();
  for (int64_t first = 0; first < b.cols; first += width) {
    const int64_t cols = std::min(width, b.cols - first);
    float* const to = packed + first * b.rows + r * width;
    std::copy_n(b.row(r) + first, cols, to);
    std::fill(to + cols, to + width, 0.0f);
  }
}

void multiply_packed(MatrixView<const float> a, const PackedRows& b, MatrixView<float> c) {
  require(a.cols == b.dim && c.rows == a.rows && c.cols == b.rows,
          "packed product: shapes do not fit");
  multiply_on_cpu(a, b, c);
}

}  // namespace rec::cpu
