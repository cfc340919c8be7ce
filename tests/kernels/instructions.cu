#include "tests/kernels/instructions.h"

#include "kernels/common/gpu.h"
#include "kernels/common/gpu_ptx.h"
#include "kernels/common/vector_io.cuh"

namespace rec::test {
namespace {

using cuda::kWarpSize;
using cuda::launch;

__global__ void pair_kernel(VectorView<const float> low, VectorView<const float> high,
                            VectorView<uint32_t> to) {
  for (int64_t i = threadIdx.x; i < to.size; i += blockDim.x)
    to[i] = cuda::bf16_pair(low[i], high[i]);
}

__global__ void tf32_kernel(VectorView<const float> from, VectorView<uint32_t> to) {
  for (int64_t i = threadIdx.x; i < to.size; i += blockDim.x) to[i] = cuda::tf32_bits(from[i]);
}

// The places of gpu_ptx.h, written out.
__global__ void multiply_bf16_kernel(MatrixView<const float> a, MatrixView<const float> b,
                                     MatrixView<float> d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto of_a = [&](int row, int k) { return cuda::bf16_pair(a(row, k), a(row, k + 1)); };
  const auto of_b = [&](int k, int column) {
    return cuda::bf16_pair(b(k, column), b(k + 1, column));
  };
  const uint32_t left[4] = {of_a(g, 2 * t), of_a(g + 8, 2 * t), of_a(g, 2 * t + 8),
                            of_a(g + 8, 2 * t + 8)};
  const uint32_t right[2] = {of_b(2 * t, g), of_b(2 * t + 8, g)};
  float sum[4] = {d(g, 2 * t), d(g, 2 * t + 1), d(g + 8, 2 * t), d(g + 8, 2 * t + 1)};
  cuda::multiply_bf16(sum, left, right);
  d(g, 2 * t) = sum[0], d(g, 2 * t + 1) = sum[1];
  d(g + 8, 2 * t) = sum[2], d(g + 8, 2 * t + 1) = sum[3];
}

__global__ void multiply_tf32_kernel(MatrixView<const float> a, MatrixView<const float> b,
                                     MatrixView<float> d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const uint32_t left[4] = {cuda::tf32_bits(a(g, t)), cuda::tf32_bits(a(g + 8, t)),
                            cuda::tf32_bits(a(g, t + 4)), cuda::tf32_bits(a(g + 8, t + 4))};
  const uint32_t right[2] = {cuda::tf32_bits(b(t, g)), cuda::tf32_bits(b(t + 4, g))};
  float sum[4] = {d(g, 2 * t), d(g, 2 * t + 1), d(g + 8, 2 * t), d(g + 8, 2 * t + 1)};
  cuda::multiply_tf32(sum, left, right);
  d(g, 2 * t) = sum[0], d(g, 2 * t + 1) = sum[1];
  d(g + 8, 2 * t) = sum[2], d(g + 8, 2 * t + 1) = sum[3];
}

template <int Width>
__global__ void load_and_store_kernel(VectorView<const Bf16> from, VectorView<float> widened,
                                      VectorView<const float> x, VectorView<Bf16> stored) {
  for (int64_t i = int64_t{threadIdx.x} * Width; i < from.size; i += int64_t{blockDim.x} * Width) {
    const cuda::Floats<Width> loaded = cuda::load<Width>(&from[i]);
    cuda::Floats<Width> values;
    for (int w = 0; w < Width; ++w) {
      widened[i + w] = loaded[w];
      values[w] = x[i + w];
    }
    cuda::store(&stored[i], values);
  }
}

}  // namespace

void pair_up(VectorView<const float> low, VectorView<const float> high, VectorView<uint32_t> to,
             Stream stream) {
  launch(pair_kernel, 1, kWarpSize, 0, stream, low, high, to);
}

void round_to_tf32(VectorView<const float> from, VectorView<uint32_t> to, Stream stream) {
  launch(tf32_kernel, 1, kWarpSize, 0, stream, from, to);
}

void multiply_once(Precision precision, MatrixView<const float> a, MatrixView<const float> b,
                   MatrixView<float> d, Stream stream) {
  launch(precision == Precision::bf16 ? multiply_bf16_kernel : multiply_tf32_kernel, 1, kWarpSize,
         0, stream, a, b, d);
}

void load_and_store(int width, VectorView<const Bf16> from, VectorView<float> widened,
                    VectorView<const float> x, VectorView<Bf16> stored, Stream stream) {
  cuda::with_width(width, [&]<int Width>() {
    launch(load_and_store_kernel<Width>, 1, kWarpSize, 0, stream, from, widened, x, stored);
  });
}

}  // namespace rec::test
