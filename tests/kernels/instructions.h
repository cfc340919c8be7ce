// Small kernels around kernels/common/gpu_ptx.h and vector_io.cuh, for test_instructions.cpp.
#pragma once
#include <cstdint>

#include "kernels/common/bf16.h"
#include "kernels/common/precision.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec::test {

// to [n] = bf16_pair(low [n], high [n])
void pair_up(VectorView<const float> low, VectorView<const float> high, VectorView<uint32_t> to,
             Stream stream);
// to [n] = tf32_bits(from [n])
void round_to_tf32(VectorView<const float> from, VectorView<uint32_t> to, Stream stream);

// d [16, 8] += a [16, depth] b [depth, 8] by one product of tensor cores; depth 16 in bf16, 8 in tf32.
void multiply_once(Precision precision, MatrixView<const float> a, MatrixView<const float> b,
                   MatrixView<float> d, Stream stream);

// widened [n] = load of from [n], stored [n] = store of x [n], by width (1, 2, 4) values a thread; n
// a multiple of it.
void load_and_store(int width, VectorView<const Bf16> from, VectorView<float> widened,
                    VectorView<const float> x, VectorView<Bf16> stored, Stream stream);

}  // namespace rec::test
