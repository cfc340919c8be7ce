#include "kernels/common/row_ops.h"

#include <algorithm>

#include "kernels/common/exp.h"
#include "kernels/common/lanes.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int64_t kColumns = 64;  // summed at once, in registers

constexpr int64_t kRowsAhead = 8;  // scattered rows are asked for this early
constexpr int64_t kCacheLine = 64;

// sum += x y
template <class V>
REC_INTO_CLONES void add_products(const float* x, const float* y, V& sum) {
  V a, b;
  load(x, a);
  load(y, b);
  sum += a * b;
}

// Always in the same order: halves, then pairs.
REC_INTO_CLONES float sum_of_lanes(const Lanes<8>& v) {
  const Lanes<4> half =
      __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
  return (half[0] + half[2]) + (half[1] + half[3]);
}
REC_INTO_CLONES float sum_of_lanes(const Lanes<16>& v) {
  const Lanes<8> half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                        __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return sum_of_lanes(half);
}

// Asks for what will be needed kRowsAhead rows later.
REC_INTO_CLONES void ask_for(const float* values, int64_t bytes) {
  const char* at = reinterpret_cast<const char*>(values);
  for (int64_t byte = 0; byte < bytes; byte += kCacheLine) __builtin_prefetch(at + byte);
}

template <int64_t kLanes>
REC_INTO_CLONES float dot_of(const float* x, const float* y, int64_t n) {
  constexpr int kSums = 4;  // as many products under way
  Lanes<kLanes> sum[kSums] = {};
  int64_t c = 0;
  for (; c + kSums * kLanes <= n; c += kSums * kLanes)
    for (int v = 0; v < kSums; ++v) add_products(x + c + v * kLanes, y + c + v * kLanes, sum[v]);
  for (; c + kLanes <= n; c += kLanes) add_products(x + c, y + c, sum[0]);
  float rest = 0.0f;
  for (; c < n; ++c) rest += x[c] * y[c];
  return sum_of_lanes((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

// out[j] = u . x[rows[j]] for rows of exactly kVectors vectors, u held in registers.
template <int64_t kLanes, int kVectors>
REC_INTO_CLONES void dots_of_width(const float* u, MatrixView<const float> x, const int32_t* rows,
                                   int64_t count, float* out) {
  Lanes<kLanes> own[kVectors];
  for (int v = 0; v < kVectors; ++v) load(u + v * kLanes, own[v]);
  for (int64_t j = 0; j < count; ++j) {
    if (j + kRowsAhead < count) ask_for(x.row(rows[j + kRowsAhead]), kVectors * kLanes * 4);
    const float* row = x.row(rows[j]);
    Lanes<kLanes> even = {}, odd = {};
    for (int v = 0; v < kVectors; v += 2) {
      Lanes<kLanes> one, next;
      load(row + v * kLanes, one);
      load(row + (v + 1) * kLanes, next);
      even += own[v] * one;
      odd += own[v + 1] * next;
    }
    out[j] = sum_of_lanes(even + odd);
  }
}

// What sums of rows are made of: a row times weight(j), where it is taken.
struct EachRow {
  REC_INTO_CLONES bool takes(int64_t) const { return true; }
  REC_INTO_CLONES float weight(int64_t) const { return 1.0f; }
};
struct WeightedRows {
  const float* weights;
  REC_INTO_CLONES bool takes(int64_t) const { return true; }
  REC_INTO_CLONES float weight(int64_t j) const { return weights[j]; }
};
struct RowsOfUsers {
  const int32_t* rows;
  UserSubset users;
  REC_INTO_CLONES bool takes(int64_t j) const { return users.has(rows[j]); }
  REC_INTO_CLONES float weight(int64_t) const { return 1.0f; }
};

// Columns first .. first + 16 kVectors of a sum of rows, in registers over all the rows.
template <int64_t kLanes, int kVectors, class Terms>
REC_INTO_CLONES void sum_columns(MatrixView<const float> x, const int32_t* rows, Terms terms,
                                 int64_t count, int64_t first, float* out) {
  Lanes<kLanes> sum[kVectors] = {};
  for (int64_t j = 0; j < count; ++j) {
    if (j + kRowsAhead < count && terms.takes(j + kRowsAhead))
      ask_for(x.row(rows[j + kRowsAhead]) + first, kVectors * kLanes * 4);
    if (!terms.takes(j)) continue;
    const float* row = x.row(rows[j]) + first;
    const float w = terms.weight(j);
    for (int v = 0; v < kVectors; ++v) {
      Lanes<kLanes> values;
      load(row + v * kLanes, values);
      sum[v] += w * values;
    }
  }
  for (int v = 0; v < kVectors; ++v) store(sum[v], out + first + v * kLanes);
}

template <int64_t kLanes, class Terms>
REC_INTO_CLONES void sum_all_columns(MatrixView<const float> x, const int32_t* rows, Terms terms,
                                     int64_t count, float* out) {
  int64_t c = 0;
  for (; c + kColumns <= x.cols; c += kColumns)
    sum_columns<kLanes, kColumns / kLanes>(x, rows, terms, count, c, out);
  for (; c + kLanes <= x.cols; c += kLanes) sum_columns<kLanes, 1>(x, rows, terms, count, c, out);
  for (; c < x.cols; ++c) {
    float sum = 0.0f;
    for (int64_t j = 0; j < count; ++j)
      if (terms.takes(j)) sum += terms.weight(j) * x.row(rows[j])[c];
    out[c] = sum;
  }
}

template <int64_t kLanes>
REC_INTO_CLONES void all_dots(const float* u, MatrixView<const float> x, const int32_t* rows,
                              int64_t count, float* out) {
  switch (x.cols) {
    case 32: return dots_of_width<kLanes, 32 / kLanes>(u, x, rows, count, out);
    case 64: return dots_of_width<kLanes, 64 / kLanes>(u, x, rows, count, out);
    default: break;
  }
  for (int64_t j = 0; j < count; ++j) {
    if (j + kRowsAhead < count) ask_for(x.row(rows[j + kRowsAhead]), x.cols * 4);
    out[j] = dot_of<kLanes>(u, x.row(rows[j]), x.cols);
  }
}

}  // namespace

REC_SIMD_CLONES float dot(const float* x, const float* y, int64_t n) {
  return lanes_of_cpu() == kWide ? dot_of<kWide>(x, y, n) : dot_of<kNarrow>(x, y, n);
}

REC_SIMD_CLONES void dots_with_rows(const float* u, MatrixView<const float> x, const int32_t* rows,
                                    int64_t count, float* out) {
  lanes_of_cpu() == kWide ? all_dots<kWide>(u, x, rows, count, out)
                          : all_dots<kNarrow>(u, x, rows, count, out);
}

REC_SIMD_CLONES void sum_of_rows(MatrixView<const float> x, const int32_t* rows, int64_t count,
                                 float* out) {
  lanes_of_cpu() == kWide ? sum_all_columns<kWide>(x, rows, EachRow{}, count, out)
                          : sum_all_columns<kNarrow>(x, rows, EachRow{}, count, out);
}

REC_SIMD_CLONES void sum_of_rows(MatrixView<const float> x, const int32_t* rows, int64_t count,
                                 const UserSubset& users, float* out) {
  const RowsOfUsers terms{rows, users};
  lanes_of_cpu() == kWide ? sum_all_columns<kWide>(x, rows, terms, count, out)
                          : sum_all_columns<kNarrow>(x, rows, terms, count, out);
}

REC_SIMD_CLONES void weighted_sum_of_rows(MatrixView<const float> x, const int32_t* rows,
                                          const float* weight, int64_t count, float* out) {
  const WeightedRows terms{weight};
  lanes_of_cpu() == kWide ? sum_all_columns<kWide>(x, rows, terms, count, out)
                          : sum_all_columns<kNarrow>(x, rows, terms, count, out);
}

REC_SIMD_CLONES void scale_row(float a, const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) y[c] = a * x[c];
}

REC_SIMD_CLONES void add_scaled(float a, const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) y[c] += a * x[c];
}

// In lanes: clang does not make SIMD of a maximum reduction of floats.
REC_SIMD_CLONES float largest_of(const float* x, int64_t n) {
  constexpr int64_t kLanes = 16;
  float largest[kLanes];
  std::fill_n(largest, kLanes, x[0]);
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      const float value = x[c + l];
      largest[l] = value > largest[l] ? value : largest[l];
    }
  }
  for (; c < n; ++c) largest[0] = std::max(largest[0], x[c]);
  return *std::max_element(largest, largest + kLanes);
}

REC_SIMD_CLONES double exp_weights(float* x, int64_t n, float largest, float factor) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) x[c] = exp_of_nonpositive((x[c] - largest) * factor);
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < n; ++c) sum += x[c];
  return sum;
}

}  // namespace rec::cpu
