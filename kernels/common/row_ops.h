// The inner loops of the CPU kernels: dense rows added, scaled and multiplied, in SIMD chosen at
// run time. Each sums in a fixed order, so a result depends on the inputs and the CPU, never on the
// thread count. Pointers need only the alignment of float. out must not overlap the inputs.
#pragma once
#include <cstdint>

#include "kernels/common/views.h"

namespace rec::cpu {

// sum_c x[c] y[c]
float dot(const float* x, const float* y, int64_t n);

// out[j] = u . x[rows[j]], j < count; u has x.cols values
void dots_with_rows(const float* u, MatrixView<const float> x, const int32_t* rows, int64_t count,
                    float* out);

// out[c] = sum_j x[rows[j], c]
void sum_of_rows(MatrixView<const float> x, const int32_t* rows, int64_t count, float* out);

// The same over those j alone whose row some users have: rows are user ids.
void sum_of_rows(MatrixView<const float> x, const int32_t* rows, int64_t count,
                 const UserSubset& users, float* out);

// out[c] = sum_j weight[j] x[rows[j], c]
void weighted_sum_of_rows(MatrixView<const float> x, const int32_t* rows, const float* weight,
                          int64_t count, float* out);

// y[c] = a x[c]; y may be x
void scale_row(float a, const float* x, float* y, int64_t n);

// y[c] += a x[c]
void add_scaled(float a, const float* x, float* y, int64_t n);

// The largest of x[0] .. x[n - 1], n > 0; where some are NaN, any of the others or NaN.
float largest_of(const float* x, int64_t n);

// x[c] = exp((x[c] - largest) factor), by exp_of_nonpositive; returns their sum, in double
double exp_weights(float* x, int64_t n, float largest, float factor);

}  // namespace rec::cpu
