// The largest singular values of a sparse matrix A [rows, cols] and their right singular vectors, by
// a randomised range finder with power iterations (Halko, Martinsson and Tropp 2011, algorithms 4.4
// and 5.1): with a Gaussian G [cols, l], l = wanted + 10,
//
//   Q = orth(A G);   4 times: Q = orth(A orth(A^T Q));   A^T Q = P R;   R = X S Y^T;   V = P X
//
// orth() is a Householder factorisation in double precision, so that a matrix of less rank than
// wanted does no harm: its further singular values come out as rounding errors. Where l reaches
// the smaller side of A, or its rank, this is the whole decomposition.
//
// Repeatable: G is drawn by Philox keyed by (seed, row, column); one owner sums each value, in
// stored order; factorisations are of fixed blocks of rows, each on one thread. The same bytes for
// any number of threads on one processor.
//
// Memory: 8 (rows + cols) l bytes and 8 bytes an entry beside A, 8 l^2 for every 2,048 rows, and
// 16 l max(2,048, 2 l) for each thread, at most one for every 2,048 rows.
//
// Test: tests/host/test_lsa.cpp
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "host/embed/tf_idf.h"

namespace rec {

struct TruncatedSvd {
  std::vector<double> singular;  // [l], descending; those behind `wanted` are less exact
  std::vector<float> right;      // [cols, wanted], of unit length and orthogonal
};

inline constexpr int kSvdPowerIterations = 4;
// Calls of done(): one a product with A or its transpose.
inline constexpr int kSvdSteps = 2 * kSvdPowerIterations + 2;

// wanted: from 1 to the smaller side of A.
TruncatedSvd randomised_svd(const SparseMatrix& a, int64_t wanted, uint64_t seed,
                            const std::function<void()>& done);

}  // namespace rec
