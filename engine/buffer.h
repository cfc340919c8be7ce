// Owners of backend memory. Views of them are valid as long as they live.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/backend.h"
#include "kernels/common/stored_view.h"
#include "kernels/common/views.h"

namespace rec {

// [size] values of T, zeroed.
template <class T>
class Array {
 public:
  Array() = default;
  Array(Backend& backend, int64_t size)
      : memory_(backend.allocate(sizeof(T) * static_cast<size_t>(size))), size_(size) {}
  Array(Backend& backend, const T* host, int64_t size) : Array(backend, size) {
    if (size > 0) backend.upload(memory_.get(), host, sizeof(T) * static_cast<size_t>(size));
  }
  Array(Backend& backend, const std::vector<T>& host)
      : Array(backend, host.data(), static_cast<int64_t>(host.size())) {}

  VectorView<T> view() const { return {static_cast<T*>(memory_.get()), size_}; }
  T* data() const { return static_cast<T*>(memory_.get()); }
  int64_t size() const { return size_; }

  std::vector<T> to_host(Backend& backend) const {
    std::vector<T> host(static_cast<size_t>(size_));
    if (size_ > 0) backend.download(host.data(), memory_.get(), sizeof(T) * host.size());
    return host;
  }

 private:
  std::shared_ptr<void> memory_;
  int64_t size_ = 0;
};

// to = host's values: one upload where the rows of both lie together.
template <class T>
void upload(Backend& backend, MatrixView<T> to, MatrixView<const T> host) {
  if (to.rows == 0 || to.cols == 0) return;
  const bool together = to.stride == to.cols && host.stride == host.cols;
  const int64_t parts = together ? 1 : to.rows;
  const size_t bytes = sizeof(T) * static_cast<size_t>(to.rows / parts * to.cols);
  for (int64_t r = 0; r < parts; ++r) backend.upload(to.row(r), host.row(r), bytes);
}

// [rows, cols] values of T, contiguous, zeroed.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(Backend& backend, int64_t rows, int64_t cols)
      : values_(backend, rows * cols), rows_(rows), cols_(cols) {}
  // With the host's values.
  Matrix(Backend& backend, MatrixView<const T> host) : Matrix(backend, host.rows, host.cols) {
    upload(backend, view(), host);
  }

  MatrixView<T> view() const { return {values_.data(), rows_, cols_}; }
  T* data() const { return values_.data(); }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  std::vector<T> to_host(Backend& backend) const { return values_.to_host(backend); }

 private:
  Array<T> values_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

// m's values, in backend memory, row after row: one download where its rows lie together.
inline std::vector<float> to_host(Backend& backend, MatrixView<const float> m) {
  std::vector<float> host(static_cast<size_t>(m.rows * m.cols));
  if (host.empty()) return host;
  const int64_t parts = m.stride == m.cols ? 1 : m.rows;
  const size_t bytes = sizeof(float) * host.size() / static_cast<size_t>(parts);
  for (int64_t r = 0; r < parts; ++r) backend.download(host.data() + r * m.cols, m.row(r), bytes);
  return host;
}

// [rows, cols] values of the type that the backend stores activations in, contiguous, zeroed.
class StoredMatrix {
 public:
  StoredMatrix() = default;
  StoredMatrix(Backend& backend, int64_t rows, int64_t cols) {
    if (backend.stored_element() == Element::bfloat16)
      rounded_ = Matrix<Bf16>(backend, rows, cols);
    else
      exact_ = Matrix<float>(backend, rows, cols);
    view_ = backend.stored_element() == Element::bfloat16 ? StoredView(rounded_.view())
                                                          : StoredView(exact_.view());
  }
  // With the host's values. Where they are rounded, so many rows at a time as a small buffer holds.
  StoredMatrix(Backend& backend, MatrixView<const float> host) {
    if (backend.stored_element() == Element::float32) {
      exact_ = Matrix<float>(backend, host);
      view_ = exact_.view();
      return;
    }
    *this = StoredMatrix(backend, host.rows, host.cols);
    if (host.rows == 0 || host.cols == 0) return;
    constexpr int64_t kValuesAtOnce = int64_t{1} << 20;
    const int64_t most = std::clamp<int64_t>(kValuesAtOnce / host.cols, 1, host.rows);
    std::vector<Bf16> buffer(static_cast<size_t>(most * host.cols));
    for (int64_t first = 0; first < host.rows; first += most) {
      const int64_t rows = std::min(most, host.rows - first);
      for (int64_t r = 0; r < rows; ++r)
        std::transform(host.row(first + r), host.row(first + r) + host.cols,
                       buffer.begin() + r * host.cols, to_bf16);
      backend.upload(rounded_.view().row(first), buffer.data(),
                     sizeof(Bf16) * static_cast<size_t>(rows * host.cols));
    }
  }

  StoredView view() const { return view_; }
  int64_t rows() const { return view_.rows; }
  int64_t cols() const { return view_.cols; }

 private:
  Matrix<float> exact_;
  Matrix<Bf16> rounded_;
  StoredView view_;
};

}  // namespace rec
