// Products of a warp's tiles by tensor cores, from operands in shared memory.
//
// Operands lie there as words of 32 bits, each holding kPacked values that follow one another along
// the depth of the product: a step of either precision takes 8 words of a row of a and of a column
// of b, and finds them at the same places (kernels/common/gpu_ptx.h).
#pragma once
#include "kernels/common/bf16.h"
#include "kernels/common/gpu.h"
#include "kernels/common/gpu_ptx.h"
#include "kernels/common/vector_io.cuh"

namespace rec::cuda {

struct alignas(16) FourWords {
  uint32_t word[4];
};
struct alignas(8) TwoWords {
  uint32_t word[2];
};

// Stored: what the matrices hold in memory. across: the words of four values of a row; down: the
// words of four columns, of the kPacked rows that are one word's.
struct Tf32Operands {
  using Stored = float;
  static constexpr int kPacked = 1;
  static __device__ __forceinline__ FourWords across(const Floats<4>& x) {
    return {tf32_bits(x[0]), tf32_bits(x[1]), tf32_bits(x[2]), tf32_bits(x[3])};
  }
  static __device__ __forceinline__ FourWords down(const Floats<4> (&rows)[1]) {
    return across(rows[0]);
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    multiply_tf32(d, a, b);
  }
};
struct Bf16Operands {
  using Stored = Bf16;
  static constexpr int kPacked = 2;
  static __device__ __forceinline__ TwoWords across(const Floats<4>& x) {
    return {bf16_pair(x[0], x[1]), bf16_pair(x[2], x[3])};
  }
  static __device__ __forceinline__ FourWords down(const Floats<4> (&rows)[2]) {
    return {bf16_pair(rows[0][0], rows[1][0]), bf16_pair(rows[0][1], rows[1][1]),
            bf16_pair(rows[0][2], rows[1][2]), bf16_pair(rows[0][3], rows[1][3])};
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    multiply_bf16(d, a, b);
  }
};

// What a warp sums up: Down x Across tiles of 16 x 8 values.
template <int Down, int Across>
struct WarpSums {
  static constexpr int kRows = 16 * Down, kColumns = 8 * Across;
  float value[Down][Across][4] = {};
};

// sums += a b over so many words of depth, a multiple of 8.
// a(row, word), b(word, column): one word each, rows and columns counted from the warp's first.
template <class Operands, int Words, int Down, int Across, class A, class B>
__device__ __forceinline__ void multiply_words(WarpSums<Down, Across>& sums, A a, B b) {
  const int g = threadIdx.x % kWarpSize / 4, t = threadIdx.x % 4;
#pragma unroll 1  // other warps multiply while this one loads; more at once takes registers
  for (int step = 0; step < Words; step += 8) {
    const int w = step + t;
    uint32_t right[Across][2];
#pragma unroll
    for (int j = 0; j < Across; ++j) {
      right[j][0] = b(w, 8 * j + g);
      right[j][1] = b(w + 4, 8 * j + g);
    }
#pragma unroll
    for (int i = 0; i < Down; ++i) {
      const int row = 16 * i + g;
      const uint32_t left[4] = {a(row, w), a(row + 8, w), a(row, w + 4), a(row + 8, w + 4)};
#pragma unroll
      for (int j = 0; j < Across; ++j) Operands::multiply(sums.value[i][j], left, right[j]);
    }
  }
}

// f(row, column, value) for every value that this lane holds.
template <int Down, int Across, class F>
__device__ __forceinline__ void for_each_value(const WarpSums<Down, Across>& sums, F f) {
  const int g = threadIdx.x % kWarpSize / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < Down; ++i)
#pragma unroll
    for (int j = 0; j < Across; ++j)
#pragma unroll
      for (int v = 0; v < 4; ++v)
        f(16 * i + 8 * (v / 2) + g, 8 * j + 2 * t + v % 2, sums.value[i][j][v]);
}

}  // namespace rec::cuda
