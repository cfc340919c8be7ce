// What both ways of ranking on a GPU share, scores in fp32 and candidates in reduced precision: how
// lists and items are shared out, what may be shown, and the candidates a block keeps of its lists.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
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

constexpr int kShortList = 32;         // k up to here: candidates in shared memory, a warp sifts
constexpr int64_t kMostSorted = 4096;  // candidates that are sorted in shared memory

// What is refused, as the device finds it. All bits set: nothing.
struct Refused {
  Place score;   // the smallest place of a score that is not finite
  Place vector;  // some list whose user_row is out of range
  Place user;    // some list whose user_id is out of range
};

// ---- how lists and items are shared out ----

// The candidates of a list: the best k so far, and room for more until they are sifted.
struct ListSize {
  int64_t k;               // what a list can hold: not more than there are items
  int64_t room;            // candidates a list has room for
  int64_t stride;          // keys in scratch of one list and split
  int64_t bytes_of_block;  // in scratch
  int64_t most_blocks;     // of a launch
};

// No bit of the lists depends on it.
struct Plan : ListSize {
  int64_t lists_at_once;   // of a launch
  int64_t splits;          // blocks that share the items of a tile of lists
  int64_t items_of_split;  // a multiple of kItems
  int64_t blocks;          // of a launch, at most

  int64_t bytes() const { return blocks * bytes_of_block; }
};

// The most blocks at once for which most_bytes suffice, but one at least.
Plan plan_of(int64_t lists, int64_t items, const ListSize& size, int64_t most_bytes) {
  Plan plan;
  static_cast<ListSize&>(plan) = size;
  const int64_t tiles = std::max<int64_t>(ceil_div(lists, kLists), 1);
  const int64_t item_tiles = std::max<int64_t>(ceil_div(items, kItems), 1);
  const int64_t blocks = std::clamp<int64_t>(most_bytes / std::max<int64_t>(size.bytes_of_block, 1),
                                             1, size.most_blocks);
  const int64_t tiles_at_once = ceil_div(tiles, ceil_div(tiles, blocks));
  const int64_t most_splits = size.room > kMostSorted ? 1 : item_tiles;
  plan.items_of_split =
      ceil_div(item_tiles, std::min(blocks / tiles_at_once, most_splits)) * kItems;
  plan.splits = std::max<int64_t>(ceil_div(items, plan.items_of_split), 1);
  plan.blocks = tiles_at_once * plan.splits;
  plan.lists_at_once = tiles_at_once * kLists;
  return plan;
}

// Lists on their way to top_item and top_score.
struct Work {
  RankingRequest request;
  VectorView<const int32_t> chosen;  // the lists to make, or empty: all of the request
  Plan plan;
  int64_t first_list;  // of this launch, among the chosen
  int64_t lists;       // of this launch
  Refused* refused;
  Key* key;  // [lists, splits, stride]

  int64_t all_lists() const { return chosen.size > 0 ? chosen.size : request.user_row.size; }
  // Which list of the request the launch's l-th is.
  __device__ int64_t list(int64_t l) const {
    return chosen.size > 0 ? chosen[first_list + l] : first_list + l;
  }
};

// ---- what may be shown ----

// Bit t: the item of key[t] may be shown; nothing is said of a key 0. The searches go side by side,
// since each step waits for memory.
template <int Each>
__device__ unsigned may_show(const RankingRequest& request, int64_t user, const Key (&key)[Each]) {
  unsigned shown = (1u << Each) - 1;
  if (request.allowed.size > 0) {
#pragma unroll
    for (int t = 0; t < Each; ++t)
      if (key[t] != 0 && request.allowed[item_of(key[t])] == 0) shown &= ~(1u << t);
  }
#pragma unroll 1  // unrolled it takes registers from the tile
  for (int m = 0; m < request.masks; ++m) {
    const int32_t* const row = request.mask[m].row(user);
    int n = int(request.mask[m].degree(user));
    if (n == 0) continue;
    int at[Each] = {};  // the last id up to the item is among n from here, if there is one
    while (n > 1) {
      const int half = n / 2;
#pragma unroll
      for (int t = 0; t < Each; ++t)
        if (row[at[t] + half] <= item_of(key[t])) at[t] += half;
      n -= half;
    }
#pragma unroll
    for (int t = 0; t < Each; ++t)
      if (row[at[t]] == item_of(key[t])) shown &= ~(1u << t);
  }
  return shown;
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

// How many of the keys are above each of mine.
template <int Each>
__device__ __forceinline__ void count_better(const Key* key, int count, const Key (&mine)[Each],
                                             int (&better)[Each]) {
  for (int other = 0; other < count; ++other) {
    const Key it = key[other];
#pragma unroll
    for (int t = 0; t < Each; ++t) better[t] += it > mine[t];
  }
}

// Keeps the best k of a list's candidates, sorted, without those that may not be shown; there are
// at most Room. By a warp.
template <int Room>
__device__ void sift_short(const RankingRequest& request, ListState& state, Key* key, int r,
                           int k) {
  constexpr int kEach = (Room + kWarpSize - 1) / kWarpSize;
  const int lane = threadIdx.x % kWarpSize, count = min(state.count[r], Room);
  if (count == 0) return;  // such a list may be of a user whom no mask knows
  Key mine[kEach];
  int better[kEach] = {}, found = 0;
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    const int place = lane + t * kWarpSize;
    mine[t] = place < count ? key[place] : 0;
  }
  const unsigned shown = may_show(request, state.user[r], mine);
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    if (mine[t] != 0 && (shown >> t & 1) == 0) key[lane + t * kWarpSize] = mine[t] = 0;
    found += __popc(__ballot_sync(kFullWarp, mine[t] != 0));
  }
  __syncwarp();
  count_better(key, count, mine, better);
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

// ---- the scores of a tile ----

// A thread has kThreadLists by kThreadItems of them, wherever they lie in the tile:
//   float score(int i, int j)    int list(int i)    int item(int j)

// Bit i * kThreadItems + j: the score is above its list's bound. items: that the tile has left.
template <class Tile>
__device__ __forceinline__ unsigned above_bounds(const ListState& state, const Tile& tile,
                                                 int64_t items) {
  unsigned above = 0;
#pragma unroll
  for (int i = 0; i < kThreadLists; ++i) {
    const float bound = state.bound[tile.list(i)];
#pragma unroll
    for (int j = 0; j < kThreadItems; ++j)
      if (tile.score(i, j) > bound) above |= 1u << (i * kThreadItems + j);
  }
  if (items >= kItems) return above;
#pragma unroll
  for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
    for (int j = 0; j < kThreadItems; ++j)
      if (tile.item(j) >= items) above &= ~(1u << (i * kThreadItems + j));
  return above;
}

// Appends the scores of `above`, of items from first_item, to their lists' candidates. When some
// list has no room left, sift_full() sifts those that are full. By all threads.
template <class Tile, class Candidates, class SiftFull>
__device__ __forceinline__ void append(ListState& state, const Tile& tile, unsigned above,
                                       int64_t first_item, int64_t room, Candidates candidates,
                                       SiftFull sift_full) {
  for (;;) {
    if (above != 0) {
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
        for (int j = 0; j < kThreadItems; ++j) {
          if ((above >> (i * kThreadItems + j) & 1) == 0) continue;
          const int place = atomicAdd(&state.count[tile.list(i)], 1);
          if (place >= room) continue;
          candidates(tile.list(i))[place] = key_of(tile.score(i, j), first_item + tile.item(j));
          above &= ~(1u << (i * kThreadItems + j));
        }
    }
    if (!__syncthreads_or(above != 0)) return;
    sift_full();
    __syncthreads();
  }
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

// ---- the pieces of a list ----

// A block a list: the best k of the splits' lists, each sorted and ended by a 0 or by its length.
__global__ __launch_bounds__(kThreads) void merge_splits(Work work, int64_t room,
                                                         MatrixView<int32_t> top_item,
                                                         MatrixView<float> top_score) {
  const Plan& plan = work.plan;
  const int threads = int(blockDim.x);
  REC_SHARED_MEMORY(Key, merged);  // [room], when there are several splits
  REC_SHARED_ARRAY(int, count, [1]);
  const int64_t list = work.list(blockIdx.x);
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

void merge(const Work& work, MatrixView<int32_t> top_item, MatrixView<float> top_score,
           Stream stream) {
  const Plan& plan = work.plan;
  const int64_t most = std::max<int64_t>(2 * plan.k, plan.k + kThreads);
  const int64_t room = plan.splits == 1 ? 1 : int64_t(std::bit_ceil(uint64_t(most)));
  const unsigned threads = unsigned(
      std::clamp<uint64_t>(std::bit_ceil(uint64_t(plan.splits * plan.k)), kWarpSize, kThreads));
  launch(merge_splits, unsigned(work.lists), threads, sizeof(Key) * size_t(room), stream, work,
         room, top_item, top_score);
}

// Calls f with first_list and lists of one launch after another.
template <class F>
void for_lists_at_once(Work& work, F f) {
  const int64_t lists = work.all_lists();
  for (work.first_list = 0; work.first_list < lists; work.first_list += work.plan.lists_at_once) {
    work.lists = std::min(work.plan.lists_at_once, lists - work.first_list);
    f();
  }
}

}  // namespace
}  // namespace rec::cuda
