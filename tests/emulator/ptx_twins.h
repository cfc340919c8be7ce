// What the instructions of kernels/common/gpu_ptx.h do, for the emulation.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/common/bf16.h"
#include "tests/emulator/cuda_emulator.h"

namespace rec::emulator {

struct Fragments {
  float d[4];
  uint32_t a[4], b[2];
};
struct Products {
  float d[4];
};

// One value of a register.
inline float bf16_operand(uint32_t bits, int position) {
  return to_float(Bf16{uint16_t(bits >> 16 * position)});
}
inline float tf32_operand(uint32_t bits, int) {
  return std::bit_cast<float>(bits & 0xFFFFE000u);  // the multiplier does not see the rest
}

// Packed: values in a register.
template <int Packed, class Operand>
void matrix_multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Operand operand,
                     const char* what, Place place) {
  Fragments in;
  std::copy(d, d + 4, in.d);
  std::copy(a, a + 4, in.a);
  std::copy(b, b + 2, in.b);
  const Products out = collective<Fragments, Products>(
      0xFFFFFFFFu, in,
      [&](const Fragments* const* of, Products* const* to, unsigned lanes) {
        if (lanes != 0xFFFFFFFFu)
          fail("a product of tensor cores needs all lanes of a warp", place);
        for (int lane = 0; lane < 32; ++lane)
          for (int value = 0; value < 4; ++value) {
            const int row = lane / 4, lower = value / 2, column = lane % 4 * 2 + value % 2;
            float sum = of[lane]->d[value];
            for (int part = 0; part < 2; ++part)
              for (int t = 0; t < 4; ++t)
                for (int position = 0; position < Packed; ++position)
                  sum += operand(of[row * 4 + t]->a[lower + 2 * part], position) *
                         operand(of[column * 4 + t]->b[part], position);
            to[lane]->d[value] = sum;
          }
      },
      what, place);
  std::copy(out.d, out.d + 4, d);
}

}  // namespace rec::emulator

namespace rec::cuda {

inline uint32_t bf16_pair(float low, float high) {
  return uint32_t{to_bf16(high).bits} << 16 | to_bf16(low).bits;
}

inline uint32_t tf32_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7FFFFFFFu;
  return std::isinf(x) ? bits : (bits + 0x1000u) & 0xFFFFE000u;
}

inline void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                          REC_EMULATOR_PLACE) {
  emulator::matrix_multiply<2>(d, a, b, emulator::bf16_operand, "multiply_bf16", place);
}
inline void multiply_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                          REC_EMULATOR_PLACE) {
  emulator::matrix_multiply<1>(d, a, b, emulator::tf32_operand, "multiply_tf32", place);
}

}  // namespace rec::cuda
