#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/ranking/ranking.h"
#include "kernels/ranking/ranking_key.h"

namespace rec::cuda {
namespace {

using Key = RankingKey;
using Place = unsigned long long;  // list * items + item, as atomicMin takes it

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// A tile of scores: 64 lists by 128 items, 4 by 8 of them a thread's.
constexpr int kLists = 64;
constexpr int kItems = 128;
constexpr int kThreadLists = 4;
constexpr int kThreadItems = 8;
constexpr int kDepth = 32;           // columns of the vectors that are in shared memory at once
constexpr int kResidentDepth = 128;  // vectors of lists up to this wide stay there

// The candidates of a list: the best k so far, and room for more until they are sifted.
constexpr int kShortList = 32;  // k up to here: candidates in shared memory, a warp sifts
constexpr int kShortRoom = 64;
constexpr int64_t kMostSorted = 4096;  // candidates that are sorted in shared memory
constexpr int64_t kMostBlocks = 2560;  // of a launch: ten times what a large GPU runs at once

// What is refused, as the device finds it. All bits set: nothing.
struct Refused {
  Place score;   // the smallest place of a score that is not finite
  Place vector;  // some list whose user_row is out of range
  Place user;    // some list whose user_id is out of range
};

constexpr int64_t kRefusedBytes = 256;

// How lists and items are shared out. No bit of the lists depends on it.
struct Plan {
  int64_t k;               // what a list can hold: not more than there are items
  int64_t room;            // candidates a list has room for, a power of two
  int64_t lists_at_once;   // of a launch
  int64_t splits;          // blocks that share the items of a tile of lists
  int64_t items_of_split;  // a multiple of kItems
  int64_t stride;          // keys in scratch of one list and split
  int64_t keys_of_block;   // in scratch
  int64_t blocks;          // of a launch, at most

  bool is_short() const { return k <= kShortList; }
  int64_t bytes() const { return kRefusedBytes + blocks * keys_of_block * int64_t(sizeof(Key)); }
};

// The most blocks at once for which most_keys suffice, but one at least.
Plan plan_of(int64_t lists, int64_t items, int64_t length, int64_t most_keys) {
  Plan plan;
  plan.k = std::clamp<int64_t>(items, 1, length);
  plan.room = plan.is_short() ? kShortRoom : int64_t(std::bit_ceil(uint64_t(2 * plan.k)));
  plan.stride = plan.is_short() ? plan.k : plan.room;
  const int64_t tiles = std::max<int64_t>(ceil_div(lists, kLists), 1);
  const int64_t item_tiles = std::max<int64_t>(ceil_div(items, kItems), 1);
  plan.keys_of_block = std::min<int64_t>(lists, kLists) * plan.stride;
  const int64_t blocks =
      std::clamp<int64_t>(most_keys / std::max<int64_t>(plan.keys_of_block, 1), 1, kMostBlocks);
  const int64_t tiles_at_once = ceil_div(tiles, ceil_div(tiles, blocks));
  const int64_t most_splits = plan.room > kMostSorted ? 1 : item_tiles;
  plan.items_of_split =
      ceil_div(item_tiles, std::min(blocks / tiles_at_once, most_splits)) * kItems;
  plan.splits = std::max<int64_t>(ceil_div(items, plan.items_of_split), 1);
  plan.blocks = tiles_at_once * plan.splits;
  plan.lists_at_once = tiles_at_once * kLists;
  return plan;
}

// ---- what may be shown ----

__device__ bool holds(const CsrView& mask, int64_t user, int32_t item) {
  const int32_t* row = mask.row(user);
  int64_t n = mask.degree(user);
  while (n > 0) {
    const int64_t half = n / 2;
    if (row[half] < item) {
      row += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return row != mask.row(user) + mask.degree(user) && *row == item;
}

__device__ bool may_show(const RankingRequest& request, int64_t user, int32_t item) {
  if (request.allowed.size > 0 && request.allowed[item] == 0) return false;
  for (int m = 0; m < kMaxMasks; ++m)
    if (m < request.masks && holds(request.mask[m], user, item)) return false;
  return true;
}

// ---- sorting by a block ----

// Descending, n a power of two; called by all threads. Ends with a barrier.
__device__ void sort_keys(Key* key, int64_t n) {
  for (int64_t sorted = 2; sorted <= n; sorted *= 2) {
    for (int64_t apart = sorted / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int64_t pair = threadIdx.x; pair < n / 2; pair += blockDim.x) {
        const int64_t a = 2 * pair - (pair & (apart - 1)), b = a + apart;
        const bool descending = (a & sorted) == 0;
        const Key first = key[a], second = key[b];
        if ((first < second) == descending) {
          key[a] = second;
          key[b] = first;
        }
      }
    }
  }
  __syncthreads();
}

__device__ int64_t power_of_two_from(int64_t n) {
  int64_t power = 1;
  while (power < n) power *= 2;
  return power;
}

// ---- the lists of a block ----

// Shared by the threads of a block: what it knows of each of its lists.
struct ListState {
  float bound[kLists];     // no score below or equal to it can be on the list
  int count[kLists];       // candidates found since the list was sifted, and those kept
  int sifted[kLists];      // those kept: none is masked, the best first
  int32_t vector[kLists];  // user_row, or -1 where there is no list
  int32_t user[kLists];    // user_id
};

// Keeps the best k of a list's candidates, sorted, without those that may not be shown. By a warp.
__device__ void sift_short(const RankingRequest& request, ListState& state, Key* key, int r,
                           int k) {
  constexpr int kEach = kShortRoom / kWarpSize;
  const int lane = threadIdx.x % kWarpSize, count = min(state.count[r], kShortRoom);
  const int sifted = state.sifted[r];
  Key mine[kEach];
  int better[kEach] = {}, found = 0;
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    const int place = lane + t * kWarpSize;
    mine[t] = place < count ? key[place] : 0;
    if (place >= sifted && place < count && !may_show(request, state.user[r], item_of(mine[t])))
      key[place] = mine[t] = 0;
    found += __popc(__ballot_sync(kFullWarp, mine[t] != 0));
  }
  __syncwarp();
  for (int other = 0; other < count; ++other) {
    const Key it = key[other];
#pragma unroll
    for (int t = 0; t < kEach; ++t) better[t] += it > mine[t];
  }
  __syncwarp();
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    if (mine[t] == 0 || better[t] >= k) continue;
    key[better[t]] = mine[t];
    if (better[t] == k - 1) state.bound[r] = score_of(mine[t]);
  }
  if (lane == 0) state.count[r] = state.sifted[r] = min(found, k);
  __syncwarp();
}

// The same for a long list, in scratch, by the block. work: where there is room to sort, or nullptr.
__device__ void sift_long(const RankingRequest& request, ListState& state, Key* key, Key* work,
                          int64_t room, int r, int64_t k) {
  const int64_t count = min(int64_t{state.count[r]}, room), sifted = state.sifted[r];
  const int64_t padded = power_of_two_from(max(count, k + 1));
  if (work == nullptr) work = key;
  for (int64_t place = threadIdx.x; place < padded; place += kThreads) {
    Key one = place < count ? key[place] : 0;
    if (place >= sifted && place < count && !may_show(request, state.user[r], item_of(one)))
      one = 0;
    work[place] = one;
  }
  sort_keys(work, padded);
  for (int64_t place = threadIdx.x; place < k; place += kThreads) {
    const Key one = work[place];
    if (work != key) key[place] = one;
    // The last that there is tells how many are kept.
    if (one == 0 ? place == 0 : place + 1 == k || work[place + 1] == 0)
      state.count[r] = state.sifted[r] = one == 0 ? 0 : int(place + 1);
    if (one != 0 && place + 1 == k) state.bound[r] = score_of(one);
  }
  __syncthreads();
}

// ---- tiles ----

// Panels of `Rows` vectors are kept by columns, so that a thread reads adjacent rows at once. The
// row is turned by the column, so that neither storing nor reading meets a bank twice.
template <int Rows>
__device__ __forceinline__ int cell(int col, int row) {
  return col * Rows + (row ^ (col / 4 % 8 * 4));
}

// kDepth columns of Rows vectors on their way from memory to a panel.
template <int Rows, int Width>
struct Fetched {
  static constexpr int kEach = Rows * kDepth / kThreads / Width;
  static constexpr int kLanes = kDepth / Width;  // of a row
  Floats<Width> value[kEach];

  // source(row): where the vector begins, or nullptr for zeros.
  template <class Source>
  __device__ __forceinline__ void fetch(Source source, int col, int cols) {
    const int at = col + int(threadIdx.x) % kLanes * Width;
#pragma unroll
    for (int t = 0; t < kEach; ++t) {
      const float* const from = source(int(threadIdx.x) / kLanes + t * (kThreads / kLanes));
      if (from != nullptr && at < cols)
        value[t] = load<Width>(from + at);
      else
        value[t] = {};
    }
  }
  __device__ __forceinline__ void put(float* panel) const {
    const int col = int(threadIdx.x) % kLanes * Width;
#pragma unroll
    for (int t = 0; t < kEach; ++t)
#pragma unroll
      for (int w = 0; w < Width; ++w)
        panel[cell<Rows>(col + w, int(threadIdx.x) / kLanes + t * (kThreads / kLanes))] =
            value[t][w];
  }
};

struct Tile {
  float score[kThreadLists][kThreadItems];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (auto& row : score)
#pragma unroll
      for (float& s : row) s = 0.0f;
  }
  // Four columns of both panels, from `col`.
  __device__ __forceinline__ void add(const float* users, const float* items, int col, int list,
                                      int item) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const Floats<4> a = load<4>(users + cell<kLists>(col + c, list));
      const Floats<4> b[2] = {load<4>(items + cell<kItems>(col + c, item)),
                              load<4>(items + cell<kItems>(col + c, item + kItems / 2))};
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
        for (int j = 0; j < kThreadItems; ++j)
          score[i][j] = fmaf(a[i], b[j / 4][j % 4], score[i][j]);
    }
  }
};

// A thread's j-th item of a tile, its first being `item`.
__device__ constexpr int item_in_tile(int item, int j) {
  return item + j / 4 * (kItems / 2) + j % 4;
}

// ---- the kernels ----

struct Work {
  RankingRequest request;
  Plan plan;
  int64_t first_list;
  int64_t lists;  // of this launch
  Refused* refused;
  Key* key;  // [lists, splits, stride]
};

// Finds the best k of each list of a tile among the items of one split. Short: candidates are in
// shared memory. Where they are not, keeping track of them takes the registers of a second block.
template <int Width, bool Short>
__global__ __launch_bounds__(kThreads, Short ? 2 : 1) void rank_tile(Work work) {
  const RankingRequest& request = work.request;
  const Plan& plan = work.plan;
  REC_SHARED_ARRAY(ListState, states, [1]);
  ListState& state = states[0];
  REC_SHARED_MEMORY(float, memory);
  const int dim = int(request.item.cols), chunks = max(int(ceil_div(dim, kDepth)), 1);
  const bool resident = dim <= kResidentDepth;
  float* const item_panel = memory;                            // [2][kDepth, kItems]
  float* const user_panel = item_panel + 2 * kDepth * kItems;  // [chunks or 2][kDepth, kLists]
  Key* const sorting =
      reinterpret_cast<Key*>(user_panel + (resident ? chunks : 2) * kDepth * kLists);
  const auto users_of_chunk = [=](int place) { return user_panel + place * kDepth * kLists; };

  const int64_t split = blockIdx.x % plan.splits;
  const int64_t first = blockIdx.x / plan.splits * kLists;  // list of this launch
  const int64_t first_item = split * plan.items_of_split;
  const int64_t last_item = min(first_item + plan.items_of_split, request.item.rows);
  const int thread = int(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;
  // In scratch, where the k best of each list are left.
  Key* const key = work.key + (first * plan.splits + split) * plan.stride;
  const int64_t list_stride = plan.splits * plan.stride;
  const auto candidates = [=](int r) {
    return Short ? sorting + r * kShortRoom : key + r * list_stride;
  };
  const auto sift = [&](int r) {
    if constexpr (Short)
      sift_short(request, state, candidates(r), r, int(plan.k));
    else
      sift_long(request, state, candidates(r), plan.room <= kMostSorted ? sorting : nullptr,
                plan.room, r, plan.k);
  };
  // A warp sifts a short list, the block a long one.
  const int first_sifted = Short ? warp : 0, next_sifted = Short ? kWarps : 1;

  if (thread < kLists) {
    const int64_t list = work.first_list + first + thread;
    bool some = first + thread < work.lists;
    int32_t vector = -1, user = 0;
    if (some) {
      vector = request.user_row[list];
      user = request.user_id[list];
      if (vector < 0 || vector >= request.user.rows) {
        atomicMin(&work.refused->vector, Place(list));
        some = false;
      }
      for (int m = 0; m < kMaxMasks; ++m)
        if (m < request.masks && (user < 0 || user >= request.mask[m].rows)) {
          atomicMin(&work.refused->user, Place(list));
          some = false;
        }
    }
    state.bound[thread] = some ? -INFINITY : INFINITY;
    state.count[thread] = state.sifted[thread] = 0;
    state.vector[thread] = some ? vector : -1;
    state.user[thread] = user;
  }
  __syncthreads();

  const auto vector_of_list = [&](int row) {
    return state.vector[row] < 0 ? nullptr : request.user.row(state.vector[row]);
  };
  // Lanes are 4 by 8 in a warp, so that a warp reads 16 lists and 32 items of each half.
  const int my_list = (warp / 2 * 4 + lane / 8) * kThreadLists;
  const int my_item = (warp % 2 * 8 + lane % 8) * 4;
  const auto fetch_users = [&](int columns, int place) {
    Fetched<kLists, Width> users;
    users.fetch(vector_of_list, columns * kDepth, dim);
    users.put(users_of_chunk(place));
  };
  Fetched<kItems, Width> items;
  const auto fetch_items = [&](int64_t from, int columns) {
    const int rows = int(min(last_item - from, int64_t{kItems}));
    items.fetch([&](int row) { return row < rows ? request.item.row(from + row) : nullptr; },
                columns * kDepth, dim);
  };
  for (int c = 0; c < (resident ? chunks : 1); ++c) fetch_users(c, c);
  fetch_items(first_item, 0);
  items.put(item_panel);
  __syncthreads();

  Tile tile;
  int side = 0, chunk = 0;  // the panels in use, and the chunk of columns they hold
  for (int64_t tile_item = first_item; tile_item < last_item;) {
    const bool whole = chunk + 1 == chunks;
    const int64_t next_item = whole ? tile_item + kItems : tile_item;
    const int next_chunk = whole ? 0 : chunk + 1;
    if (next_item < last_item) fetch_items(next_item, next_chunk);
    if (chunk == 0) tile.clear();
    const float* const item_chunk = item_panel + side * kDepth * kItems;
    const float* const user_chunk = users_of_chunk(resident ? chunk : side);
    const int depth = min(dim - chunk * kDepth, kDepth);
    for (int col = 0; col < depth; col += 4)
      tile.add(user_chunk, item_chunk, col, my_list, my_item);
    side = 1 - side;
    if (next_item < last_item) {
      items.put(item_panel + side * kDepth * kItems);
      if (!resident) fetch_users(next_chunk, side);
    }
    chunk = next_chunk;
    if (!whole) {
      __syncthreads();
      continue;
    }

    // The tile is whole. Nearly every score is below its list's bound.
    const Floats<4> bound = load<4>(&state.bound[my_list]);
    unsigned pending = 0;
    bool finite = true;
#pragma unroll
    for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
      for (int j = 0; j < kThreadItems; ++j) {
        finite = finite && fabsf(tile.score[i][j]) <= FLT_MAX;
        if (tile.score[i][j] > bound[i]) pending |= 1u << (i * kThreadItems + j);
      }
    if (!finite || tile_item + kItems > last_item) {
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
        for (int j = 0; j < kThreadItems; ++j) {
          const int64_t item = tile_item + item_in_tile(my_item, j);
          if (item >= last_item) pending &= ~(1u << (i * kThreadItems + j));
          if (item < last_item && state.vector[my_list + i] >= 0 &&
              !(fabsf(tile.score[i][j]) <= FLT_MAX))
            atomicMin(&work.refused->score,
                      Place((work.first_list + first + my_list + i) * request.item.rows + item));
        }
    }
    for (;;) {
      if (pending != 0) {
#pragma unroll
        for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
          for (int j = 0; j < kThreadItems; ++j) {
            if ((pending >> (i * kThreadItems + j) & 1) == 0) continue;
            const int place = atomicAdd(&state.count[my_list + i], 1);
            if (place >= plan.room) continue;
            candidates(my_list + i)[place] =
                key_of(tile.score[i][j], tile_item + item_in_tile(my_item, j));
            pending &= ~(1u << (i * kThreadItems + j));
          }
      }
      if (!__syncthreads_or(pending != 0)) break;
      // Some list has no room left.
      for (int r = first_sifted; r < kLists; r += next_sifted)
        if (state.count[r] >= plan.room) sift(r);
      __syncthreads();
    }
    tile_item = next_item;
  }

  for (int r = first_sifted; r < kLists && first + r < work.lists; r += next_sifted) {
    sift(r);
    if (Short && lane < plan.k)
      key[r * list_stride + lane] = lane < state.sifted[r] ? candidates(r)[lane] : 0;
  }
}

// A block a list: the best k of the splits' lists, each sorted and ended by a 0 or by its length.
__global__ __launch_bounds__(kThreads) void merge_splits(Work work, int64_t room,
                                                         MatrixView<int32_t> top_item,
                                                         MatrixView<float> top_score) {
  const Plan& plan = work.plan;
  const int threads = int(blockDim.x);
  REC_SHARED_MEMORY(Key, merged);  // [room], when there are several splits
  REC_SHARED_ARRAY(int, count, [1]);
  const int64_t list = work.first_list + blockIdx.x;
  const Key* best = work.key + blockIdx.x * plan.splits * plan.stride;
  int64_t kept = plan.k;
  if (plan.splits > 1) {
    const int64_t all = plan.splits * plan.k;
    const bool together = all <= room;
    if (threadIdx.x == 0) count[0] = together ? int(all) : 0;
    for (int64_t p = threadIdx.x; together && p < all; p += threads)
      merged[p] = best[p / plan.k * plan.stride + p % plan.k];
    __syncthreads();
    Key bound = 0;
    // Otherwise place by place, until no split has a better one.
    for (int64_t place = 0; !together && place < plan.k; ++place) {
      bool some = false;
      for (int64_t from = 0; from < plan.splits; from += threads) {
        const int64_t split = from + threadIdx.x;
        const Key key = split < plan.splits ? best[split * plan.stride + place] : 0;
        if (key > bound) {
          merged[atomicAdd(&count[0], 1)] = key;
          some = true;
        }
        __syncthreads();
        const int found = count[0];
        __syncthreads();
        if (found + threads <= room) continue;
        for (int64_t p = found + threadIdx.x; p < room; p += threads) merged[p] = 0;
        sort_keys(merged, room);
        bound = merged[plan.k - 1];
        if (threadIdx.x == 0) count[0] = int(plan.k);
        __syncthreads();
      }
      if (!__syncthreads_or(some)) break;
    }
    const int64_t padded = power_of_two_from(count[0]);
    kept = min(int64_t{count[0]}, plan.k);
    for (int64_t p = count[0] + threadIdx.x; p < padded; p += threads) merged[p] = 0;
    sort_keys(merged, padded);
    best = merged;
  }
  for (int64_t place = threadIdx.x; place < top_item.cols; place += threads) {
    const Key key = place < kept ? best[place] : 0;
    top_item(list, place) = key != 0 ? item_of(key) : -1;
    top_score(list, place) = key != 0 ? score_of(key) : -INFINITY;
  }
}

}  // namespace

int64_t rank_scratch_bytes(int64_t lists, int64_t items, int64_t k, int64_t most_bytes) {
  return plan_of(lists, items, k, (most_bytes - kRefusedBytes) / int64_t(sizeof(Key))).bytes();
}

void rank(const RankingRequest& request, MatrixView<int32_t> top_item, MatrixView<float> top_score,
          VectorView<std::byte> scratch, Stream stream) {
  require_ranking_shapes(request, top_item, top_score);
  const int64_t lists = request.user_row.size, items = request.item.rows;
  require(scratch.size >= rank_scratch_bytes(lists, items, top_item.cols, 0),
          "ranking: scratch must have rank_scratch_bytes bytes");
  if (lists == 0) return;
  Work work;
  work.request = request;
  work.plan =
      plan_of(lists, items, top_item.cols, (scratch.size - kRefusedBytes) / int64_t(sizeof(Key)));
  work.refused = reinterpret_cast<Refused*>(scratch.data);
  work.key = reinterpret_cast<Key*>(scratch.data + kRefusedBytes);
  const Plan& plan = work.plan;
  REC_CUDA_CHECK(cudaMemsetAsync(work.refused, 0xFF, sizeof(Refused), stream));

  const int64_t chunks = std::max<int64_t>(ceil_div(request.item.cols, kDepth), 1);
  const int64_t user_chunks = request.item.cols <= kResidentDepth ? chunks : 2;
  const int64_t sorted = plan.is_short()            ? kLists * kShortRoom
                         : plan.room <= kMostSorted ? plan.room
                                                    : 0;
  const size_t tile_bytes = sizeof(float) * kDepth * size_t(2 * kItems + user_chunks * kLists) +
                            sizeof(Key) * size_t(sorted);
  const int64_t most_merged = std::max<int64_t>(2 * plan.k, plan.k + kThreads);
  const int64_t merge_room = plan.splits == 1 ? 1 : int64_t(std::bit_ceil(uint64_t(most_merged)));
  const unsigned merge_threads = unsigned(
      std::clamp<uint64_t>(std::bit_ceil(uint64_t(plan.splits * plan.k)), kWarpSize, kThreads));
  with_width(vector_width({request.user, request.item}), [&]<int Width>() {
    const auto kernel = plan.is_short() ? rank_tile<Width, true> : rank_tile<Width, false>;
    for (work.first_list = 0; work.first_list < lists; work.first_list += plan.lists_at_once) {
      work.lists = std::min(plan.lists_at_once, lists - work.first_list);
      launch(kernel, unsigned(ceil_div(work.lists, kLists) * plan.splits), kThreads, tile_bytes,
             stream, work);
      launch(merge_splits, unsigned(work.lists), merge_threads, sizeof(Key) * size_t(merge_room),
             stream, work, merge_room, top_item, top_score);
    }
  });

  Refused refused;
  REC_CUDA_CHECK(
      cudaMemcpyAsync(&refused, work.refused, sizeof refused, cudaMemcpyDeviceToHost, stream));
  REC_CUDA_CHECK(cudaStreamSynchronize(stream));
  constexpr Place kNone = ~Place{0};
  require(refused.vector == kNone, "ranking: user_row names a vector that does not exist");
  require(refused.user == kNone, "ranking: user_id names a user whom a mask does not know");
  if (refused.score != kNone)
    refuse_ranking_score(int64_t(refused.score) / items, int64_t(refused.score) % items);
}

}  // namespace rec::cuda
