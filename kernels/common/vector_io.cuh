// Floats as device memory likes them: 16, 8 or 4 bytes a load, the width chosen by the host from
// how its views lie.
#pragma once
#include <initializer_list>

#include "kernels/common/gpu.h"
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
  return *reinterpret_cast<const Floats<Width>*>(from);
}
template <int Width>
__device__ __forceinline__ void store(float* to, const Floats<Width>& values) {
  *reinterpret_cast<Floats<Width>*>(to) = values;
}

// The widest of 4, 2, 1 floats at which every row of all matrices can be read without a rest.
inline int vector_width(std::initializer_list<MatrixView<const float>> matrices) {
  for (int width : {4, 2}) {
    bool fits = true;
    for (const MatrixView<const float>& m : matrices)
      fits = fits && reinterpret_cast<uintptr_t>(m.data) % (sizeof(float) * size_t(width)) == 0 &&
             m.cols % width == 0 && (m.stride % width == 0 || m.rows <= 1);
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
