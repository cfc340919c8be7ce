// Values as device memory likes them: 4, 2 or 1 a load, the width chosen by the host from how its
// views lie. What is stored as bfloat16 is computed with as float.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "kernels/common/bf16.h"
#include "kernels/common/gpu.h"
#include "kernels/common/gpu_ptx.h"
#include "kernels/common/views.h"

namespace rec::cuda {

template <int Width>
struct alignas(sizeof(float) * Width) Floats {
  float value[Width];
  __device__ float& operator[](int i) { return value[i]; }
  __device__ float operator[](int i) const { return value[i]; }
};

// from, to: aligned to Width floats
template <int Width>
__device__ __forceinline__ Floats<Width> load(const float* from) {
  return load_whole(reinterpret_cast<const Floats<Width>*>(from));
}
template <int Width>
__device__ __forceinline__ void store(float* to, const Floats<Width>& values) {
  store_whole(reinterpret_cast<Floats<Width>*>(to), values);
}

// The same of bfloat16, as floats: a load of 8, 4 or 2 bytes.
template <int Width>
struct alignas(sizeof(Bf16) * Width) StoredBf16 {
  static constexpr int kWords = (Width + 1) / 2;
  using Word = std::conditional_t<Width == 1, uint16_t, uint32_t>;
  Word word[kWords];
};
template <int Width>
__device__ __forceinline__ Floats<Width> unpack(const StoredBf16<Width>& stored) {
  Floats<Width> values;
#pragma unroll
  for (int w = 0; w < Width; ++w)
    values[w] = __uint_as_float(w % 2 == 0 ? uint32_t{stored.word[w / 2]} << 16
                                           : stored.word[w / 2] & 0xFFFF0000u);
  return values;
}
template <int Width>
__device__ __forceinline__ Floats<Width> load(const Bf16* from) {
  return unpack(load_whole(reinterpret_cast<const StoredBf16<Width>*>(from)));
}
template <int Width>
__device__ __forceinline__ void store(Bf16* to, const Floats<Width>& values) {
  StoredBf16<Width> stored;
#pragma unroll
  for (int w = 0; w < Width; w += 2)
    stored.word[w / 2] = typename StoredBf16<Width>::Word(
        bf16_pair(values[w], w + 1 < Width ? values[w + 1] : 0.0f));
  store_whole(reinterpret_cast<StoredBf16<Width>*>(to), stored);
}

// How a matrix lies in memory, whatever it holds.
struct RowLayout {
  template <class T>
  RowLayout(MatrixView<T> m)
      : address(reinterpret_cast<uintptr_t>(m.data)),
        rows(m.rows),
        cols(m.cols),
        stride(m.stride),
        value_bytes(sizeof(T)) {}
  uintptr_t address;
  int64_t rows, cols, stride;
  size_t value_bytes;
};

// The widest of 4, 2, 1 values at which every row of all matrices can be read without a rest.
inline int vector_width(std::initializer_list<RowLayout> matrices) {
  for (int width : {4, 2}) {
    bool fits = true;
    for (const RowLayout& m : matrices)
      fits = fits && m.address % (m.value_bytes * size_t(width)) == 0 && m.cols % width == 0 &&
             (m.stride % width == 0 || m.rows <= 1);
    if (fits) return width;
  }
  return 1;
}

// Calls f.template operator()<Width>() with the width as a constant.
template <class F>
void with_width(int width, F f) {
  switch (width) {
    case 4: return f.template operator()<4>();
    case 2: return f.template operator()<2>();
    default: return f.template operator()<1>();
  }
}

}  // namespace rec::cuda
