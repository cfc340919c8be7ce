// Arrays whose offsets do not fit in 32 bits, in little memory:
// only the pages that are written exist.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "kernels/common/views.h"
#include "tests/support/graphs.h"

namespace rec::test {

inline constexpr int64_t kPast32Bits = int64_t{1} << 31;

// [size] values of T, zero until written. As much is mapped before the first value as an offset
// that wrapped at 32 bits can reach, so that a narrowed index is a wrong value and not a crash.
template <class T>
class VirtualArray {
 public:
  explicit VirtualArray(int64_t size) : bytes_(size_t(kPast32Bits + size) * sizeof(T)) {
    void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw std::runtime_error("this machine refuses to map virtual memory");
    first_ = static_cast<T*>(memory);
    ::madvise(memory, bytes_, MADV_NOHUGEPAGE);  // or each value written would take 2 MiB
  }
  ~VirtualArray() { ::munmap(first_, bytes_); }
  VirtualArray(const VirtualArray&) = delete;
  VirtualArray& operator=(const VirtualArray&) = delete;

  T* data() const { return first_ + kPast32Bits; }

 private:
  T* first_;
  size_t bytes_;
};

// A matrix whose rows are so far apart that all but the first three start beyond 2^31.
template <class T>
class FarMatrix {
 public:
  FarMatrix(int64_t rows, int64_t cols) : rows_(rows), cols_(cols), cells_(rows * kStride) {}
  explicit FarMatrix(MatrixView<const T> from) : FarMatrix(from.rows, from.cols) {
    for (int64_t r = 0; r < rows_; ++r) std::copy_n(from.row(r), cols_, view().row(r));
  }

  MatrixView<T> view() const { return {cells_.data(), rows_, cols_, kStride}; }

 private:
  static constexpr int64_t kStride = kPast32Bits / 3 + 101;

  int64_t rows_, cols_;
  VirtualArray<T> cells_;
};

// The same rows of ids, at offsets beyond 2^31: the far end of a larger CSR.
class FarCsr {
 public:
  explicit FarCsr(CsrView from)
      : rows_(from.rows), cols_(from.cols), col_(kFirst + from.row_start[from.rows]) {
    for (int64_t r = 0; r <= rows_; ++r) start_.push_back(kFirst + from.row_start[r]);
    std::copy_n(from.col, from.row_start[rows_], col_.data() + kFirst);
  }

  CsrView view() const { return {rows_, cols_, start_.data(), col_.data()}; }

 private:
  static constexpr int64_t kFirst = kPast32Bits + 12'345;

  int64_t rows_, cols_;
  std::vector<int64_t> start_;
  VirtualArray<int32_t> col_;
};

// A graph with the edges of another, at offsets beyond 2^31. The other must outlive it.
class FarGraph {
 public:
  explicit FarGraph(const GraphView& from)
      : from_(from), items_of_user_(from.items_of_user), users_of_item_(from.users_of_item) {}

  GraphView view() const {
    return {items_of_user_.view(), users_of_item_.view(), from_.user_scale, from_.item_scale};
  }

 private:
  GraphView from_;
  FarCsr items_of_user_, users_of_item_;
};

}  // namespace rec::test
