#include "tests/emulator/promises.h"

#include "kernels/common/gpu.h"

namespace rec::test {
namespace {

using cuda::kFullWarp;
using cuda::kWarpSize;
using cuda::launch;

constexpr int kThreads = 2 * kWarpSize;

__global__ void two_barriers() {
  if (threadIdx.x < 7)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void barrier_or_warp() {
  if (threadIdx.x % 2 == 0)
    __syncthreads();
  else
    __syncwarp();
}

__global__ void early_return() {
  if (threadIdx.x == 40) return;
  __syncthreads();
}

__global__ void shuffle_outside() {
  if (threadIdx.x < 2) __shfl_sync(0x3u, int(threadIdx.x), 5);
}

__global__ void outside_its_mask() {
  if (threadIdx.x == 4) __syncwarp(~(1u << 4));
}

__global__ void different_collectives() {
  if (threadIdx.x == 3)
    __ballot_sync(kFullWarp, 1);
  else
    __shfl_sync(kFullWarp, 1, 0);
}

__global__ void returned_lane() {
  if (threadIdx.x == 3) return;
  __syncwarp();
}

__global__ void much_static() {
  REC_SHARED_ARRAY(char, bytes, [48 * 1024 + 1]);
  bytes[threadIdx.x] = 0;
}

__global__ void use_dynamic(size_t bytes) {
  REC_SHARED_MEMORY(char, memory);
  if (threadIdx.x == 0) memory[bytes - 1] = 0;
}

__global__ void never_waits() {
  REC_SHARED_ARRAY(int32_t, pair, [2]);
  if (threadIdx.x == 0) {
    pair[0] = 0;
    emulator::copy_async(&pair[1], &pair[0], sizeof(int32_t));
    emulator::copy_async_commit();
  }
}

__global__ void unwritten(int32_t* shared, const int32_t* from, int32_t* device) {
  REC_SHARED_ARRAY(int32_t, one, [1]);
  *shared = one[0];
  *device = *from;
}

__global__ void waits(const int32_t* from, int32_t* before, int32_t* after) {
  REC_SHARED_ARRAY(int32_t, one, [1]);
  emulator::copy_async(one, from, sizeof(int32_t));
  emulator::copy_async_commit();
  *before = one[0];
  emulator::copy_async_wait(0);
  *after = one[0];
}

__global__ void log_all(int32_t* log) {
  const int32_t thread = int32_t(blockIdx.x * blockDim.x + threadIdx.x);
  log[1 + atomicAdd(log, 1)] = thread;
}

__global__ void log_one(int32_t number, int32_t* log) { log[1 + log[0]++] = number; }

__global__ void add(const int32_t* from, int32_t* to) { to[0] = from[0] + 1; }

}  // namespace

void barriers_at_two_places(Stream stream) { launch(two_barriers, 1, kThreads, 0, stream); }
void barrier_that_half_the_threads_miss(Stream stream) {
  launch(barrier_or_warp, 1, kThreads, 0, stream);
}
void return_before_a_barrier(Stream stream) { launch(early_return, 1, kThreads, 0, stream); }
void shuffle_from_outside_the_mask(Stream stream) {
  launch(shuffle_outside, 1, kThreads, 0, stream);
}
void lane_outside_its_own_mask(Stream stream) { launch(outside_its_mask, 1, kThreads, 0, stream); }
void lanes_in_different_collectives(Stream stream) {
  launch(different_collectives, 1, kThreads, 0, stream);
}
void mask_with_a_lane_that_returned(Stream stream) {
  launch(returned_lane, 1, kThreads, 0, stream);
}
void static_shared_memory_beyond_48_kib(Stream stream) {
  launch(much_static, 1, kThreads, 0, stream);
}
void dynamic_shared_memory(size_t bytes, Stream stream) {
  launch(use_dynamic, 1, kThreads, bytes, stream, bytes);
}
void async_copy_never_waited_for(Stream stream) { launch(never_waits, 1, kThreads, 0, stream); }

void copy_unwritten(int32_t* shared, const int32_t* from, int32_t* device, Stream stream) {
  launch(unwritten, 1, 1, 0, stream, shared, from, device);
}
void async_copy(const int32_t* from, int32_t* before, int32_t* after, Stream stream) {
  launch(waits, 1, 1, 0, stream, from, before, after);
}
void log_threads(int blocks, int threads, int32_t* log, Stream stream) {
  launch(log_all, unsigned(blocks), unsigned(threads), 0, stream, log);
}
void log_number(int32_t number, int32_t* log, Stream stream) {
  launch(log_one, 1, 1, 0, stream, number, log);
}
void add_one(const int32_t* from, int32_t* to, Stream stream) {
  launch(add, 1, 1, 0, stream, from, to);
}

}  // namespace rec::test
