// Matrix products on one thread with one operand packed: its rows are copied once into the order in
// which the inner loop reads them, and then serve any number of products. OpenBLAS packs for each
// product anew, which costs as much as the product where its sums are short or its blocks small.
//
//   c [m, rows] = a [m, dim] b [rows, dim]^T
//
// A value of c depends on its row of a, its row of b and the CPU alone: not on m, on rows, or on
// where in c it stands.
//
// Why it works: docs/kernels/ranking.md   Test: tests/kernels/test_packed_product.cpp
// Speed: bench/kernels/bench_ranking.cpp
#pragma once
#include <cstdint>

#include "kernels/common/views.h"

namespace rec::cpu {

// b in strips of strip_rows() rows: [strips, dim, strip_rows()], the last filled up with zeros.
struct PackedRows {
  const float* data = nullptr;  // [packed_size(rows, dim)]
  int64_t rows = 0;
  int64_t dim = 0;
};

int64_t strip_rows();                            // of this CPU
int64_t packed_size(int64_t rows, int64_t dim);  // in floats

// Packs one strip of b to its place in the copy that begins at packed. Strips are apart, so that
// threads can share them out.
void pack_strip(MatrixView<const float> b, int64_t strip, float* packed);

// For products with b itself, c [m, cols] = a [m, rows] b [rows, cols]: packs row r of b to its place
// in the copy of b^T, which is PackedRows{packed, b.cols, b.rows}. Rows are apart.
void pack_row(MatrixView<const float> b, int64_t r, float* packed);

// c overwritten
void multiply_packed(MatrixView<const float> a, const PackedRows& b, MatrixView<float> c);

}  // namespace rec::cpu
