#include "tests/traffic/kernels_for_counting.h"

#include <cstring>

#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"

namespace rec::test {
namespace {

using cuda::Floats;
using cuda::kWarpSize;
using cuda::launch;
using cuda::load;
using cuda::store;

__global__ void copy_fours(const float* from, float* to) {
  const int i = 4 * int(threadIdx.x);
  store(to + i, load<4>(from + i));
}

__global__ void copy_strided(const float* from, int stride, float* to) {
  to[threadIdx.x] = from[stride * int(threadIdx.x)];
}

__global__ void copy_first(const float* from, float* to) { to[threadIdx.x] = from[0]; }

// One place in the code, whoever calls.
__attribute__((noinline)) __device__ float value_at(const volatile float* from) { return *from; }

__global__ void read_unequal(const float* from, float* to) {
  const int lane = int(threadIdx.x);
  float sum = 0.0f;
  for (int part = 0; part < 2; ++part) {
    for (int time = 0; time < (part == 0 && lane >= 16 ? 2 : 1); ++time)
      sum += value_at(from + (part == 0 ? lane : 0));
    __syncwarp();
  }
  to[lane] = sum;
}

template <int Stride>
__global__ void sum_columns(float* to) {
  REC_SHARED_ARRAY(float, tile, [kWarpSize][Stride]);
  const int lane = int(threadIdx.x);
  for (int row = 0; row < kWarpSize; ++row) tile[row][lane] = 1.0f;
  __syncwarp();
  float sum = 0.0f;
  for (int column = 0; column < kWarpSize; ++column) sum += tile[lane][column];
  to[lane] = sum;
}

template <int Width>
__global__ void vectors_in_shared(float* to) {
  REC_SHARED_ARRAY(float, values, [kWarpSize * Width]);
  const int lane = int(threadIdx.x);
  store(values + lane * Width, Floats<Width>{});
  __syncwarp();
  to[lane] = load<Width>(values + lane * Width)[0];
}

__global__ void add_lanes(int32_t* sum) { atomicAdd(sum, 1); }

__global__ void copy_bytes(const float* from, float* to, size_t bytes) {
  if (threadIdx.x == 0) std::memcpy(to, from, bytes);
}

}  // namespace

void copy_in_fours(const float* from, float* to, int warps, Stream stream) {
  launch(copy_fours, 1, unsigned(warps * kWarpSize), 0, stream, from, to);
}
void copy_with_stride(const float* from, int stride, float* to, Stream stream) {
  launch(copy_strided, 1, kWarpSize, 0, stream, from, stride, to);
}
void copy_one(const float* from, float* to, Stream stream) {
  launch(copy_first, 1, kWarpSize, 0, stream, from, to);
}
void read_unevenly(const float* from, float* to, Stream stream) {
  launch(read_unequal, 1, kWarpSize, 0, stream, from, to);
}
void sum_columns_by_rows(bool padded, float* to, Stream stream) {
  launch(padded ? sum_columns<33> : sum_columns<32>, 1, kWarpSize, 0, stream, to);
}
void shared_in_vectors(int width, float* to, Stream stream) {
  launch(width == 2 ? vectors_in_shared<2> : vectors_in_shared<4>, 1, kWarpSize, 0, stream, to);
}
void count_lanes(int32_t* sum, Stream stream) { launch(add_lanes, 1, kWarpSize, 0, stream, sum); }
void copy_by_memcpy(const float* from, float* to, Stream stream) {
  launch(copy_bytes, 1, kWarpSize, 0, stream, from, to, size_t{64});
}

}  // namespace rec::test
