// The instructions that CUDA C++ has no name for: the one header with PTX. Compiled by a host
// compiler they are the emulation's twins (tests/emulator/ptx_twins.h).
//
// Products of tensor cores, d [16, 8] += a [16, depth] b [depth, 8], by all lanes of a warp. With
// g = lane / 4 and t = lane % 4, a lane holds
//
//   d[0], d[1] = d(g, 2t), d(g, 2t + 1)        d[2], d[3] = the same of row g + 8
//   bf16, depth 16, two values a register (the first in the lower half):
//     a[0] = a(g, 2t ..)   a[1] = a(g + 8, 2t ..)   a[2] = a(g, 2t + 8 ..)   a[3] = a(g + 8, 2t + 8 ..)
//     b[0] = b(2t .., g)   b[1] = b(2t + 8 .., g)
//   tf32, depth 8:
//     a[0] = a(g, t)       a[1] = a(g + 8, t)       a[2] = a(g, t + 4)       a[3] = a(g + 8, t + 4)
//     b[0] = b(t, g)       b[1] = b(t + 4, g)
//
// Source: PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k8". Compute capability 8.0.
#pragma once
#include <cstdint>

#include "kernels/common/gpu.h"

#if defined(__CUDACC__)
namespace rec::cuda {

// Both rounded to bfloat16, to the nearest; `low` is in the lower half.
__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// Rounded to 10 bits behind the point, to the nearest, ties away from zero. A product does not see
// the lower 13 bits.
__device__ __forceinline__ uint32_t tf32_bits(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

__device__ __forceinline__ void multiply_bf16(float (&d)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void multiply_tf32(float (&d)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace rec::cuda
#else
#include "tests/emulator/ptx_twins.h"
#endif
