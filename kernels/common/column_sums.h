// Column sums of tall matrices on a GPU: what the gradients of biases are.
//
//   sum[c] = sum_r first[r, c] + sum_r second[r, c]
//
// Summed in double, rounded once. Rows are cut into panels by their number alone; a panel's sum is
// one block's, and the panels are added in order. Repeatable.
// Test: tests/kernels/test_column_sums.cpp
#pragma once
#include <cstddef>

#include "kernels/common/bf16.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec::cuda {

// rows: of both matrices together
int64_t column_sums_scratch_bytes(int64_t rows, int64_t cols);

// first [m, cols], second [n, cols] (n may be 0) -> sum [cols], overwritten
void column_sums(MatrixView<const float> first, MatrixView<const float> second,
                 VectorView<float> sum, VectorView<std::byte> scratch, Stream stream);
void column_sums(MatrixView<const Bf16> first, MatrixView<const Bf16> second, VectorView<float> sum,
                 VectorView<std::byte> scratch, Stream stream);

}  // namespace rec::cuda
