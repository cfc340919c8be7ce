#include "kernels/common/row_ops.h"

#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int64_t kChunk = 64;  // columns summed in registers at once: 4 AVX-512 or 8 AVX2 registers
constexpr int64_t kNarrow = 16;

inline float dot_of(const float* x, const float* y, int64_t n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < n; ++c) sum += x[c] * y[c];
  return sum;
}

// One chunk of columns of a (weighted) sum of rows, held in registers over all the rows.
template <int64_t kWidth, class Weight>
inline void sum_chunk(MatrixView<const float> x, const int32_t* rows, Weight weight, int64_t count,
                      int64_t first, float* out) {
  float sum[kWidth] = {};
  for (int64_t j = 0; j < count; ++j) {
    const float* row = x.row(rows[j]) + first;
    const float w = weight(j);
#pragma omp simd
    for (int64_t c = 0; c < kWidth; ++c) sum[c] += w * row[c];
  }
  for (int64_t c = 0; c < kWidth; ++c) out[first + c] = sum[c];
}

template <class Weight>
inline void sum_all_chunks(MatrixView<const float> x, const int32_t* rows, Weight weight,
                           int64_t count, float* out) {
  int64_t c = 0;
  for (; c + kChunk <= x.cols; c += kChunk) sum_chunk<kChunk>(x, rows, weight, count, c, out);
  for (; c + kNarrow <= x.cols; c += kNarrow) sum_chunk<kNarrow>(x, rows, weight, count, c, out);
  for (; c < x.cols; ++c) sum_chunk<1>(x, rows, weight, count, c, out);
}

}  // namespace

REC_SIMD_CLONES float dot(const float* x, const float* y, int64_t n) { return dot_of(x, y, n); }

REC_SIMD_CLONES void dots_with_rows(const float* u, MatrixView<const float> x, const int32_t* rows,
                                    int64_t count, float* out) {
  for (int64_t j = 0; j < count; ++j) out[j] = dot_of(u, x.row(rows[j]), x.cols);
}

REC_SIMD_CLONES void sum_of_rows(MatrixView<const float> x, const int32_t* rows, int64_t count,
                                 float* out) {
  sum_all_chunks(x, rows, [](int64_t) { return 1.0f; }, count, out);
}

REC_SIMD_CLONES void weighted_sum_of_rows(MatrixView<const float> x, const int32_t* rows,
                                          const float* weight, int64_t count, float* out) {
  sum_all_chunks(x, rows, [weight](int64_t j) { return weight[j]; }, count, out);
}

REC_SIMD_CLONES void add_scaled(float a, const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) y[c] += a * x[c];
}

}  // namespace rec::cpu
