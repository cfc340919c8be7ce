// Owners of backend memory. Views of them are valid as long as they live.
#pragma once
#include <memory>
#include <vector>

#include "engine/backend.h"
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

// [rows, cols] values of T, contiguous, zeroed.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(Backend& backend, int64_t rows, int64_t cols)
      : values_(backend, rows * cols), rows_(rows), cols_(cols) {}
  // With the host's values: one upload where its rows lie together.
  Matrix(Backend& backend, MatrixView<const T> host) : Matrix(backend, host.rows, host.cols) {
    if (rows_ == 0 || cols_ == 0) return;
    const bool together = host.stride == host.cols;
    const int64_t parts = together ? 1 : rows_;
    const size_t bytes = sizeof(T) * static_cast<size_t>(rows_ / parts * cols_);
    for (int64_t r = 0; r < parts; ++r) backend.upload(view().row(r), host.row(r), bytes);
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

}  // namespace rec
