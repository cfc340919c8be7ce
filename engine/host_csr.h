// A 0/1 matrix on the host that owns its arrays.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/common/views.h"

namespace rec {

struct HostCsr {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<int64_t> row_start = {0};  // [rows + 1]
  std::vector<int32_t> col;              // ascending within a row when built from sorted input

  CsrView view() const { return {rows, cols, row_start.data(), col.data()}; }
  int64_t entries() const { return static_cast<int64_t>(col.size()); }
};

// A row after all others.
inline void add_row(HostCsr& m, const std::vector<int32_t>& row) {
  m.col.insert(m.col.end(), row.begin(), row.end());
  m.row_start.push_back(m.entries());
  ++m.rows;
}

// More rows without entries, and more columns.
inline void widen(HostCsr& m, int64_t rows, int64_t cols) {
  m.row_start.resize(static_cast<size_t>(rows) + 1, m.row_start.back());
  m.rows = rows;
  m.cols = cols;
}

// The transpose, rows ascending within each column:
// a stable counting sort. keep(row): which rows take part.
template <class Keep>
HostCsr transpose(CsrView m, Keep keep) {
  HostCsr t;
  t.rows = m.cols;
  t.cols = m.rows;
  t.row_start.assign(static_cast<size_t>(m.cols) + 1, 0);
  for (int64_t r = 0; r < m.rows; ++r)
    if (keep(r))
      for (int64_t e = m.row_start[r]; e < m.row_start[r + 1]; ++e)
        ++t.row_start[static_cast<size_t>(m.col[e]) + 1];
  for (size_t c = 1; c < t.row_start.size(); ++c) t.row_start[c] += t.row_start[c - 1];
  t.col.resize(static_cast<size_t>(t.row_start.back()));
  std::vector<int64_t> next(t.row_start.begin(), t.row_start.end() - 1);
  for (int64_t r = 0; r < m.rows; ++r)
    if (keep(r))
      for (int64_t e = m.row_start[r]; e < m.row_start[r + 1]; ++e)
        t.col[static_cast<size_t>(next[static_cast<size_t>(m.col[e])]++)] = static_cast<int32_t>(r);
  return t;
}
inline HostCsr transpose(CsrView m) {
  return transpose(m, [](int64_t) { return true; });
}

}  // namespace rec
