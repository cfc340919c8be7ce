// planted_bugs N: small kernels made as those of kernels/ are, with the N-th of ten bugs in them, or
// none (0). The tests check that each bug is reported, and that without one nothing is.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <random>
#include <string>
#include <utility>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector_io.cuh"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"
#include "tests/support/values.h"

namespace rec::test {
namespace {

using namespace cuda;

enum Bug {
  no_bug,
  missing_barrier,
  missing_warp_sync,
  plain_add_for_ordered_sum,
  one_row_too_far,
  misaligned_load,
  shared_memory_overrun,
  missing_async_wait,
  divergent_barrier,
  wrong_tail_mask,
  wrong_stride,
  bug_count
};

constexpr int kThreads = 2 * kWarpSize;

// A block a row: its threads' sums meet in shared memory.
template <Bug bug>
__global__ void sum_rows(MatrixView<const float> x, float* sums) {
  REC_SHARED_ARRAY(float, partial, [kThreads]);
  const int thread = int(threadIdx.x);
  const int64_t stride = bug == wrong_stride ? x.cols : x.stride;
  const float* const row = x.data + int64_t{blockIdx.x} * stride;
  float sum = 0.0f;
  for (int64_t c = thread; c < x.cols; c += kThreads) sum += row[c];
  partial[thread + (bug == shared_memory_overrun ? 1 : 0)] = sum;
  if constexpr (bug != missing_barrier) __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
      if constexpr (bug == divergent_barrier) __syncthreads();
    }
    if constexpr (bug != divergent_barrier) __syncthreads();
  }
  if (thread == 0) sums[blockIdx.x] = partial[0];
}

// A warp a row, in loads as wide as the rows lie.
template <Bug bug, int Width>
__global__ void double_rows(MatrixView<const float> x, MatrixView<float> y) {
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kWarpSize) + threadIdx.x / kWarpSize;
  if (bug == one_row_too_far ? row > x.rows : row >= x.rows) return;
  for (int64_t c = int64_t{threadIdx.x % kWarpSize} * Width; c < x.cols; c += kWarpSize * Width) {
    Floats<Width> values = load<Width>(x.row(row) + c);
    for (int w = 0; w < Width; ++w) values[w] *= 2.0f;
    store(y.row(row) + c, values);
  }
}

// Lanes change places through shared memory.
template <Bug bug>
__global__ void reverse_each_warp(const float* x, float* y) {
  REC_SHARED_ARRAY(float, tile, [kThreads]);
  const int lane = int(threadIdx.x) % kWarpSize, first = int(threadIdx.x) - lane;
  tile[threadIdx.x] = x[threadIdx.x];
  if constexpr (bug != missing_warp_sync) __syncwarp();
  y[threadIdx.x] = tile[first + kWarpSize - 1 - lane];
}

// Pairs' values summed to their items, in the order of the pairs. A thread an item, or, with the
// bug, a thread a pair.
template <Bug bug>
__global__ void sum_to_items(const int32_t* item, const float* value, int64_t pairs, int64_t items,
                             float* sums) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if constexpr (bug == plain_add_for_ordered_sum) {
    if (i < pairs) sums[item[i]] += value[i];
  } else {
    if (i >= items) return;
    float sum = 0.0f;
    for (int64_t p = 0; p < pairs; ++p)
      if (item[p] == i) sum += value[p];
    sums[i] = sum;
  }
}

// A tile is copied to shared memory and read by other threads.
template <Bug bug>
__global__ void rotate_tile(const float* x, float* y) {
  REC_SHARED_ARRAY(float, tile, [kThreads]);
  emulator::copy_async(&tile[threadIdx.x], &x[threadIdx.x], sizeof(float));
  emulator::copy_async_commit();
  if constexpr (bug != missing_async_wait) emulator::copy_async_wait(0);
  __syncthreads();
  y[threadIdx.x] = tile[(threadIdx.x + 1) % kThreads];
}

// A sum over n values, fewer than a warp has lanes.
template <Bug bug>
__global__ void sum_tail(const int32_t* x, int n, int32_t* sum) {
  const int lane = int(threadIdx.x);
  const unsigned tail = __ballot_sync(kFullWarp, lane < n);
  if (lane >= n) return;
  const int32_t total = __reduce_add_sync(bug == wrong_tail_mask ? kFullWarp : tail, x[lane]);
  if (lane == 0) *sum = total;
}

void check(bool right, const char* what) {
  if (right) return;
  std::printf("wrong result: %s\n", what);
  std::exit(1);
}

template <Bug bug>
void run_kernels() {
  const Stream stream = test_stream();
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> number(1, 9);  // sums of such are exact
  const auto numbers = [&](GuardedMatrix m) {
    for (int64_t r = 0; r < m.view().rows; ++r)
      for (int64_t c = 0; c < m.view().cols; ++c) m.view()(r, c) = float(number(random));
    return m;
  };

  const int64_t rows = 5, cols = 70;
  const GuardedMatrix x = numbers(GuardedMatrix(rows, cols));
  Values<float> sums(size_t(rows), 0.0f);
  launch(sum_rows<bug>, unsigned(rows), kThreads, 0, stream, x.view(), sums.data());
  wait_for_device();
  for (int64_t r = 0; r < rows; ++r) {
    float want = 0.0f;
    for (int64_t c = 0; c < cols; ++c) want += x.view()(r, c);
    check(sums[size_t(r)] == want, "sums of rows");
  }

  for (const bool aligned : {false, true}) {
    const GuardedMatrix from =
        numbers(aligned ? GuardedMatrix::aligned(rows, 72) : GuardedMatrix(rows, 72));
    GuardedMatrix to = from;
    const int width =
        bug == misaligned_load ? 4 : vector_width({from.view(), std::as_const(to).view()});
    const int64_t blocks = ceil_div(rows, int64_t{kThreads / kWarpSize});
    with_width(width, [&]<int Width>() {
      launch(double_rows<bug, Width>, unsigned(blocks), kThreads, 0, stream, from.view(),
             to.view());
    });
    wait_for_device();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < 72; ++c)
        check(to.view()(r, c) == 2.0f * from.view()(r, c), "doubled rows");
    check(to.guards_untouched(), "what lies around the doubled rows");
  }

  Values<float> tile(kThreads), moved(kThreads, 0.0f);
  for (float& value : tile) value = float(number(random));
  launch(reverse_each_warp<bug>, 1, kThreads, 0, stream, tile.data(), moved.data());
  wait_for_device();
  for (int t = 0; t < kThreads; ++t)
    check(moved[size_t(t)] == tile[size_t(t ^ (kWarpSize - 1))], "reversed warps");
  launch(rotate_tile<bug>, 1, kThreads, 0, stream, tile.data(), moved.data());
  wait_for_device();
  for (int t = 0; t < kThreads; ++t)
    check(moved[size_t(t)] == tile[size_t((t + 1) % kThreads)], "a rotated tile");

  const int64_t pairs = 3 * kThreads, items = 7;
  Values<int32_t> item{};
  Values<float> value;
  for (int64_t p = 0; p < pairs; ++p) {
    item.push_back(int32_t(p * p % items));
    value.push_back(float(number(random)));
  }
  Values<float> item_sums(size_t(items), 0.0f);
  launch(sum_to_items<bug>, unsigned(pairs / kThreads), kThreads, 0, stream, item.data(),
         value.data(), pairs, items, item_sums.data());
  wait_for_device();
  for (int64_t i = 0; i < items; ++i) {
    float want = 0.0f;
    for (int64_t p = 0; p < pairs; ++p)
      if (item[size_t(p)] == i) want += value[size_t(p)];
    check(item_sums[size_t(i)] == want, "sums of items");
  }

  Values<int32_t> total = {0};
  launch(sum_tail<bug>, 1, kWarpSize, 0, stream, item.data(), 13, total.data());
  wait_for_device();
  int32_t want = 0;
  for (int i = 0; i < 13; ++i) want += item[size_t(i)];
  check(total[0] == want, "the sum of a tail");
}

template <int... N>
void run_with(int bug, std::integer_sequence<int, N...>) {
  (void)((bug == N && (run_kernels<Bug(N)>(), true)) || ...);
}

}  // namespace
}  // namespace rec::test

int main(int count, char** arguments) {
  const int bug = count == 2 ? std::atoi(arguments[1]) : -1;
  if (bug < 0 || bug >= rec::test::bug_count) {
    std::fprintf(stderr, "usage: planted_bugs 0..%d\n", rec::test::bug_count - 1);
    return 2;
  }
  try {
    rec::test::run_with(bug, std::make_integer_sequence<int, rec::test::bug_count>());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}
