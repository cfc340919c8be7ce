// Views: what every kernel takes and returns. They do not own, know their stride, and pass by
// value. Owners are engine/buffer.h's Array and Matrix, made by a Backend. Their functions are
// constexpr, so that device code may call them (nvcc --expt-relaxed-constexpr).
#pragma once
#include <cstdint>
#include <type_traits>

namespace rec {

// A dense row-major matrix [rows, cols]; row r starts at data + r * stride
// (stride >= cols, in elements).
template <class T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  MatrixView() = default;
  constexpr MatrixView(T* first, int64_t row_count, int64_t col_count)
      : MatrixView(first, row_count, col_count, col_count) {}
  constexpr MatrixView(T* first, int64_t row_count, int64_t col_count, int64_t row_stride)
      : data(first), rows(row_count), cols(col_count), stride(row_stride) {}

  constexpr T* row(int64_t r) const { return data + r * stride; }
  constexpr T& operator()(int64_t r, int64_t c) const { return data[r * stride + c]; }
  constexpr MatrixView rows_from(int64_t first, int64_t count) const {
    return {data + first * stride, count, cols, stride};
  }
  constexpr MatrixView cols_from(int64_t first, int64_t count) const {
    return {data + first, rows, count, stride};
  }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) constexpr operator MatrixView<U>()
      const {
    return {data, rows, cols, stride};
  }
};

// A dense vector [size].
template <class T>
struct VectorView {
  T* data = nullptr;
  int64_t size = 0;

  VectorView() = default;
  constexpr VectorView(T* first, int64_t count) : data(first), size(count) {}

  constexpr T& operator[](int64_t i) const { return data[i]; }
  constexpr T* begin() const { return data; }
  constexpr T* end() const { return data + size; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) constexpr operator VectorView<U>()
      const {
    return {data, size};
  }
};

// A sparse 0/1 matrix [rows, cols] in CSR: row r holds col[row_start[r] .. row_start[r + 1]),
// ascending and without repeats unless a header says otherwise. Offsets are 64-bit, ids 32-bit.
struct CsrView {
  int64_t rows = 0;
  int64_t cols = 0;
  const int64_t* row_start = nullptr;  // [rows + 1]
  const int32_t* col = nullptr;        // [row_start[rows]]

  constexpr int64_t degree(int64_t r) const { return row_start[r + 1] - row_start[r]; }
  constexpr const int32_t* row(int64_t r) const { return col + row_start[r]; }
};

// The training graph: two CSRs, each the other's transpose, and D^-1/2 per node (0 where the degree
// is 0). A~ = D^-1/2 A D^-1/2 needs no edge values: scale, add neighbours, scale.
struct GraphView {
  CsrView items_of_user;               // [users, items]
  CsrView users_of_item;               // [items, users], its transpose
  VectorView<const float> user_scale;  // [users], degree^-1/2
  VectorView<const float> item_scale;  // [items], degree^-1/2

  constexpr int64_t users() const { return items_of_user.rows; }
  constexpr int64_t items() const { return items_of_user.cols; }
  constexpr int64_t nodes() const { return users() + items(); }
};

// Some of the users, as the grouping of a batch's rows by user tells them (BatchView::user_start):
// those who have rows. Without a grouping, everyone.
struct UserSubset {
  VectorView<const int64_t> row_start = {};  // [users + 1], or empty

  constexpr bool is_everyone() const { return row_start.size == 0; }
  constexpr bool has(int64_t u) const { return is_everyone() || row_start[u + 1] > row_start[u]; }
};

}  // namespace rec
