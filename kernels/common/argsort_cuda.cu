#include <algorithm>
#include <utility>

#include "kernels/common/argsort.h"
#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/check.h"
#include "kernels/common/gpu.h"
#include "kernels/common/scan.cuh"

namespace rec::cuda {
namespace {

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kThreads = kDigits;  // where digits are summed up, a thread a digit
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kKeysPerThread = 16;  // in registers, and runs of 16 equal digits on average
constexpr int kKeysPerWarp = kKeysPerThread * kWarpSize;
constexpr int kTile = kThreads * kKeysPerThread;  // keys a block takes

__device__ int digit_of(int32_t key, int shift) { return int(key >> shift) & (kDigits - 1); }

// tile_count[digit][t] = how many keys of tile t have the digit. A block makes its tile's.
__global__ __launch_bounds__(kThreads) void count_digits(const int32_t* key, int64_t count,
                                                         int shift, int32_t* tile_count) {
  REC_SHARED_ARRAY(int32_t, counts, [kDigits]);
  counts[threadIdx.x] = 0;
  __syncthreads();
  const int64_t first = int64_t{blockIdx.x} * kTile + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kKeysPerThread; ++i) {
    const int64_t p = first + i * kThreads;
    if (p < count) atomicAdd(&counts[digit_of(key[p], shift)], 1);
  }
  __syncthreads();
  tile_count[int64_t{threadIdx.x} * gridDim.x + blockIdx.x] = counts[threadIdx.x];
}

// A digit's counts become the sums over the tiles before; digit_count [kDigits] gets their sum.
// A block a digit, neighbours read neighbours.
__global__ __launch_bounds__(kThreads) void sum_over_tiles(int64_t tiles, int32_t* tile_count,
                                                           int32_t* digit_count) {
  REC_SHARED_ARRAY(int32_t, warp_sums, [2][kWarps]);
  int32_t* const counts = tile_count + blockIdx.x * tiles;
  int32_t sum = 0;
  int use = 0;
  for (int64_t first = 0; first < tiles; first += kThreads, use ^= 1) {
    const int64_t t = first + threadIdx.x;
    const Prefix<int32_t> prefix =
        block_prefix<kThreads>(t < tiles ? counts[t] : 0, warp_sums[use]);
    if (t < tiles) counts[t] = sum + prefix.before;
    sum += prefix.all;
  }
  if (threadIdx.x == 0) digit_count[blockIdx.x] = sum;
}

// The lanes of this warp that have the same digit. All lanes must call; those without a key are in
// no other's.
__device__ unsigned lanes_alike(int digit, bool has_key) {
  unsigned alike = __ballot_sync(kFullWarp, has_key);
#pragma unroll
  for (int bit = 0; bit < kDigitBits; ++bit) {
    const bool set = (digit >> bit & 1) != 0;
    const unsigned with = __ballot_sync(kFullWarp, set);
    alike &= set ? with : ~with;
  }
  return alike;
}

// One pass: every key, with its place of origin, to its place in the order by this digit, equal
// ones in the order they have. A block takes a tile and orders it in shared memory first, so that
// what lies side by side in the result is written side by side. A warp takes kKeysPerWarp
// neighbours, a row of kWarpSize at a time.
//
// order: null in the first pass, where every key is still at its place of origin.
// tiles_before, digit_count: of count_digits and sum_over_tiles; not read where there is one tile.
__global__ __launch_bounds__(kThreads) void place_by_digit(
    const int32_t* key, const int32_t* order, int64_t count, int shift, const int32_t* tiles_before,
    const int32_t* digit_count, int32_t* placed_key, int32_t* placed_order) {
  REC_SHARED_ARRAY(int32_t, warp_count, [kWarps][kDigits]);  // then where a warp's digit begins
  REC_SHARED_ARRAY(int32_t, tile_key, [kTile]);
  REC_SHARED_ARRAY(int32_t, tile_order, [kTile]);
  REC_SHARED_ARRAY(int64_t, offset, [kDigits]);  // from a place in the tile to one in the whole
  REC_SHARED_ARRAY(int32_t, warp_sums, [2][kWarps]);
  const int thread = int(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;
  const int64_t tile_begin = int64_t{blockIdx.x} * kTile;
  const int in_tile = int(count - tile_begin < kTile ? count - tile_begin : kTile);

  for (int d = lane; d < kDigits; d += kWarpSize) warp_count[warp][d] = 0;
  int32_t keys[kKeysPerThread], orders[kKeysPerThread];
  int32_t rank[kKeysPerThread];  // among the keys of this warp with the same digit
#pragma unroll
  for (int i = 0; i < kKeysPerThread; ++i) {
    const int p = warp * kKeysPerWarp + i * kWarpSize + lane;
    keys[i] = p < in_tile ? key[tile_begin + p] : 0;
    orders[i] = p >= in_tile       ? 0
                : order == nullptr ? int32_t(tile_begin + p)
                                   : order[tile_begin + p];
  }
#pragma unroll
  for (int i = 0; i < kKeysPerThread; ++i) {
    const int row = warp * kKeysPerWarp + i * kWarpSize;
    if (row >= in_tile) break;  // the same in all lanes
    const int digit = digit_of(keys[i], shift);
    const bool has_key = row + lane < in_tile;
    const unsigned alike = lanes_alike(digit, has_key);
    __syncwarp();  // what other lanes have written is there
    const int32_t before = warp_count[warp][digit];
    rank[i] = before + __popc(alike & ((1u << lane) - 1));
    __syncwarp();  // all have read
    if (has_key && rank[i] == before) warp_count[warp][digit] = before + __popc(alike);
  }
  __syncthreads();

  int32_t of_tile = 0;  // thread: a digit
#pragma unroll
  for (int w = 0; w < kWarps; ++w) of_tile += std::exchange(warp_count[w][thread], of_tile);
  const int32_t begins = block_prefix<kThreads>(of_tile, warp_sums[0]).before;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) warp_count[w][thread] += begins;
  int64_t whole_begins = begins;
  if (gridDim.x > 1)
    whole_begins = block_prefix<kThreads>(digit_count[thread], warp_sums[1]).before +
                   int64_t{tiles_before[int64_t{thread} * gridDim.x + blockIdx.x]};
  offset[thread] = whole_begins - begins;
  __syncthreads();

#pragma unroll
  for (int i = 0; i < kKeysPerThread; ++i) {
    if (warp * kKeysPerWarp + i * kWarpSize + lane >= in_tile) break;
    const int place = warp_count[warp][digit_of(keys[i], shift)] + rank[i];
    tile_key[place] = keys[i];
    tile_order[place] = orders[i];
  }
  __syncthreads();
  for (int p = thread; p < in_tile; p += kThreads) {
    const int64_t to = offset[digit_of(tile_key[p], shift)] + p;
    placed_key[to] = tile_key[p];
    placed_order[to] = tile_order[p];
  }
}

struct Scratch {
  VectorView<int32_t> key, order;               // [count], of every other pass
  VectorView<int32_t> tile_count, digit_count;  // [kDigits * tiles], [kDigits]
};
Scratch lay_out(Carver& carver, int64_t count) {
  Scratch s;
  s.key = carver.take<int32_t>(count);
  s.order = carver.take<int32_t>(count);
  s.tile_count = carver.take<int32_t>(kDigits * ceil_div(count, kTile));
  s.digit_count = carver.take<int32_t>(kDigits);
  return s;
}

}  // namespace

int64_t argsort_scratch_bytes(int64_t count) {
  Carver carver(nullptr);
  lay_out(carver, count);
  return carver.bytes();
}

void argsort(VectorView<const int32_t> key, int key_bits, VectorView<int32_t> sorted_key,
             VectorView<int32_t> order, VectorView<std::byte> scratch, Stream stream) {
  const int64_t count = key.size;
  require(sorted_key.size == count && order.size == count,
          "argsort: keys, sorted keys and order must have equal size");
  require(count < (int64_t{1} << 31), "argsort: the number of keys must stay below 2^31");
  require(0 <= key_bits && key_bits <= 31, "argsort: keys have 0 to 31 bits");
  require_scratch(scratch, argsort_scratch_bytes(count),
                  "argsort: scratch must have argsort_scratch_bytes, aligned to 256");
  Carver carver(scratch.data);
  const Scratch s = lay_out(carver, count);
  const int64_t tiles = ceil_div(count, kTile);
  const int passes = std::max(1, int(ceil_div(key_bits, kDigitBits)));
  const int32_t* from_key = key.data;
  const int32_t* from_order = nullptr;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * kDigitBits;
    const bool into_result = (passes - 1 - pass) % 2 == 0;  // every other pass, and the last
    const VectorView<int32_t> to_key = into_result ? sorted_key : s.key;
    const VectorView<int32_t> to_order = into_result ? order : s.order;
    if (tiles > 1) {
      launch(count_digits, unsigned(tiles), kThreads, 0, stream, from_key, count, shift,
             s.tile_count.data);
      launch(sum_over_tiles, kDigits, kThreads, 0, stream, tiles, s.tile_count.data,
             s.digit_count.data);
    }
    launch(place_by_digit, unsigned(tiles), kThreads, 0, stream, from_key, from_order, count, shift,
           s.tile_count.data, s.digit_count.data, to_key.data, to_order.data);
    from_key = to_key.data;
    from_order = to_order.data;
  }
}

}  // namespace rec::cuda
