// Vectors of floats as wide as a register, for the bodies of REC_SIMD_CLONES functions: plain C++
// that each clone turns into the instructions of its CPU.
#pragma once
#include <cstdint>
#include <string_view>

#include "kernels/common/simd.h"

// Helpers go into each clone of their callers, and so are compiled for each CPU.
#define REC_INTO_CLONES [[gnu::always_inline]] inline

namespace rec::cpu {

// A register's worth of floats. g++ keeps running sums of this type in registers; arrays of floats,
// and of vectors longer than a register, it leaves in memory.
template <int64_t kLanes>
struct Register;
template <>
struct Register<4> {
  using Type = float __attribute__((vector_size(16)));
};
template <>
struct Register<8> {
  using Type = float __attribute__((vector_size(32)));
};
template <>
struct Register<16> {
  using Type = float __attribute__((vector_size(64)));
};
template <int64_t kLanes>
using Lanes = typename Register<kLanes>::Type;

// Floats in a register of AVX-512, of AVX2, and of any other CPU.
inline constexpr int64_t kWide = 16, kNarrow = 8, kShort = 4;

// Which of them this CPU has. A clone holds the forms for all and takes the one it was made for.
inline int64_t lanes_of_cpu() {
  static const int64_t lanes = [] {
    const std::string_view level = simd_level();
    return level == "AVX-512" ? kWide : level == "AVX2" ? kNarrow : kShort;
  }();
  return lanes;
}

// V as it lies among floats: aligned as one, and read and written as one may.
template <class V>
struct InMemory {
  typedef V Type __attribute__((aligned(alignof(float)), may_alias));
};

// By reference, since vectors as arguments have no settled ABI. Through memcpy, g++ would keep what
// is stored in memory all the while.
template <class V>
REC_INTO_CLONES void load(const float* x, V& v) {
  v = *reinterpret_cast<const typename InMemory<V>::Type*>(x);
}
template <class V>
REC_INTO_CLONES void store(const V& v, float* x) {
  *reinterpret_cast<typename InMemory<V>::Type*>(x) = v;
}

}  // namespace rec::cpu
