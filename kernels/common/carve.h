// Cuts a kernel's scratch memory into arrays, each aligned to 256 bytes. One function of the kernel
// lays them out: over no memory it counts the bytes, over the scratch it gives the arrays.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/common/ceil_div.h"
#include "kernels/common/check.h"
#include "kernels/common/views.h"

namespace rec {

inline constexpr int64_t kScratchAlignment = 256;  // bytes

class Carver {
 public:
  explicit Carver(std::byte* memory) : memory_(memory) {}  // null: only counts

  template <class T>
  VectorView<T> take(int64_t count) {
    const int64_t first = bytes_;
    bytes_ += ceil_div(int64_t{sizeof(T)} * count, kScratchAlignment) * kScratchAlignment;
    return {memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + first), count};
  }

  int64_t bytes() const { return bytes_; }  // taken so far

 private:
  std::byte* memory_;
  int64_t bytes_ = 0;
};

inline void require_scratch(VectorView<std::byte> scratch, int64_t bytes, const char* sentence) {
  require(scratch.size >= bytes &&
              reinterpret_cast<uintptr_t>(scratch.data) % uintptr_t{kScratchAlignment} == 0,
          sentence);
}

}  // namespace rec
