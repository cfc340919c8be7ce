#include "bench/gpu/limits.h"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

#include "bench/place.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"

namespace rec::bench {
namespace {

using cuda::Floats;
using cuda::kWarpSize;
using cuda::launch;
using cuda::load;
using cuda::store;

constexpr int kThreads = 256;
constexpr int kRuns = kEmulatedGpu ? 1 : 9;

constexpr int64_t kBytesMoved = kEmulatedGpu ? int64_t{64} << 10 : int64_t{512} << 20;
constexpr int64_t kBlocksMost = kEmulatedGpu ? 4 : 132 * 16;

template <class Enqueue>
double shortest_s(Enqueue enqueue) {
  double shortest = 1e30;
  for (int run = 0; run <= kRuns; ++run) {
    const double seconds = gpu_milliseconds(enqueue, /*flush=*/false) / 1e3;
    if (run > 0) shortest = std::min(shortest, seconds);
  }
  return shortest;
}

int attribute(cudaDeviceAttr which) {
  int value = 0;
  REC_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, 0));
  return value;
}

__global__ __launch_bounds__(kThreads) void copy(const float* from, float* to, int64_t size) {
  const int64_t step = int64_t{gridDim.x} * kThreads * 4;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * 4; i < size; i += step)
    store(to + i, load<4>(from + i));
}

// A row is read by `lanes` neighbouring threads, 16 bytes each at a time. Each group of them adds
// up the rows first, first + groups, ...; kAtOnce rows are under way at once.
__global__ __launch_bounds__(kThreads) void gather(const float* table, int64_t width,
                                                   const int32_t* rows, int64_t count, int lanes,
                                                   float* sums) {
  constexpr int kAtOnce = 4;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t group = thread / lanes, groups = int64_t{gridDim.x} * kThreads / lanes;
  const int64_t lane = thread % lanes;
  Floats<4> sum[kAtOnce] = {};
  for (int64_t j = group; j < count; j += groups * kAtOnce) {
    const float* row[kAtOnce];
#pragma unroll
    for (int a = 0; a < kAtOnce; ++a)
      row[a] = table + int64_t{rows[std::min(j + a * groups, count - 1)]} * width;
    for (int64_t c = lane * 4; c < width; c += lanes * 4)
#pragma unroll
      for (int a = 0; a < kAtOnce; ++a) {
        const Floats<4> values = load<4>(row[a] + c);
#pragma unroll
        for (int i = 0; i < 4; ++i) sum[a][i] += values[i];
      }
  }
  float all = 0;
#pragma unroll
  for (int a = 0; a < kAtOnce; ++a) all += sum[a][0] + sum[a][1] + sum[a][2] + sum[a][3];
  sums[thread] = all;
}

template <int Width>
__global__ __launch_bounds__(kThreads) void read_shared(int places, int loads, float* sums) {
  REC_SHARED_MEMORY(float, memory);
  for (int i = int(threadIdx.x); i < places * Width; i += kThreads) memory[i] = float(i);
  __syncthreads();
  uint32_t random = threadIdx.x * 2654435761u + blockIdx.x;
  float sum = 0;
  for (int l = 0; l < loads; ++l) {
    random = random * 1664525u + 1013904223u;
    const uint32_t place = uint32_t((uint64_t{random} * uint32_t(places)) >> 32);
    const Floats<Width> values = load<Width>(memory + size_t{place} * Width);
#pragma unroll
    for (int i = 0; i < Width; ++i) sum += values[i];
  }
  sums[int64_t{blockIdx.x} * kThreads + threadIdx.x] = sum;
}

template <int Width>
double shared_rate() {
  constexpr int kBytes = 32 << 10;  // a block; several fit beside each other
  constexpr int kLoads = 1024;
  const int loads = kEmulatedGpu ? 4 : kLoads;
  const unsigned blocks =
      unsigned(attribute(cudaDevAttrMultiProcessorCount)) * (kEmulatedGpu ? 1 : 6);
  Place place(Place::Kind::gpu);
  float* const sums = reinterpret_cast<float*>(place.scratch(int64_t{blocks} * kThreads * 4).data);
  const double seconds = shortest_s([&](Stream stream) {
    launch(read_shared<Width>, blocks, kThreads, kBytes, stream, kBytes / (4 * Width), loads, sums);
  });
  return double(blocks) * kThreads * loads * Width * 4 / seconds;
}

}  // namespace

double gpu_copy_rate(int64_t array_bytes) {
  const int64_t floats = ceil_div(array_bytes, 16) * 4;
  Place place(Place::Kind::gpu);
  float* const from = reinterpret_cast<float*>(place.scratch(floats * 4).data);
  float* const to = reinterpret_cast<float*>(place.scratch(floats * 4).data);
  const int64_t blocks = std::min(ceil_div(floats, int64_t{kThreads} * 4), kBlocksMost);
  // Small arrays are copied several times, so that the launch does not count.
  const int64_t times =
      kEmulatedGpu ? 1 : std::clamp(kBytesMoved / (floats * 8), int64_t{1}, int64_t{50});
  const double seconds = shortest_s([&](Stream stream) {
    for (int64_t t = 0; t < times; ++t)
      launch(copy, unsigned(blocks), kThreads, 0, stream, from, to, floats);
  });
  return 2.0 * 4.0 * double(floats) * double(times) / seconds;
}

double gpu_gather_rate(int64_t row_bytes, int64_t table_bytes) {
  if (row_bytes <= 0 || row_bytes % 16 != 0)
    throw std::invalid_argument("gather: rows must be a multiple of 16 bytes");
  const int64_t width = row_bytes / 4, table_rows = std::max<int64_t>(table_bytes / row_bytes, 1);
  const int64_t count = std::max<int64_t>(kBytesMoved / row_bytes, 1);
  std::vector<int32_t> rows(static_cast<size_t>(count));
  std::minstd_rand random(3);
  for (int32_t& row : rows) row = int32_t(random() % uint64_t(table_rows));
  int lanes = 1;
  while (lanes < kWarpSize && lanes * 2 * 16 <= row_bytes) lanes *= 2;

  Place place(Place::Kind::gpu);
  std::vector<float> zeros(static_cast<size_t>(table_rows * width));
  const float* const table =
      place.put(VectorView<const float>(zeros.data(), int64_t(zeros.size()))).data;
  const int32_t* const chosen = place.put(VectorView<const int32_t>(rows.data(), count)).data;
  const int64_t blocks = std::min(ceil_div(count * lanes, int64_t{kThreads}), kBlocksMost);
  float* const sums = reinterpret_cast<float*>(place.scratch(blocks * kThreads * 4).data);
  const double seconds = shortest_s([&](Stream stream) {
    launch(gather, unsigned(blocks), kThreads, 0, stream, table, width, chosen, count, lanes, sums);
  });
  return double(count) * double(row_bytes) / seconds;
}

double gpu_shared_rate(int64_t load_bytes) {
  switch (load_bytes) {
    case 8: return shared_rate<2>();
    case 16: return shared_rate<4>();
    default: throw std::invalid_argument("shared memory is read 8 or 16 bytes at a time");
  }
}

}  // namespace rec::bench
