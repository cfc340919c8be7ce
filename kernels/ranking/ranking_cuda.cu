#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/ranking/ranking.h"
#include "kernels/ranking/ranking_candidates.cuh"
#include "kernels/ranking/ranking_key.h"
#include "kernels/ranking/ranking_lists.cuh"

namespace rec::cuda {
namespace {

constexpr int kDepth = 32;             // columns of the vectors that are in shared memory at once
constexpr int kResidentDepth = 128;    // vectors of lists up to this wide stay there
constexpr int kShortRoom = 64;         // candidates of a short list
constexpr int64_t kMostBlocks = 2560;  // ten times what a large GPU runs at once

bool is_short(const ListSize& size) { return size.k <= kShortList; }

ListSize exact_size(int64_t lists, int64_t items, int64_t length) {
  ListSize size;
  size.k = std::clamp<int64_t>(items, 1, length);
  size.room = is_short(size) ? kShortRoom : int64_t(std::bit_ceil(uint64_t(2 * size.k)));
  size.stride = is_short(size) ? size.k : size.room;
  size.bytes_of_block = std::min<int64_t>(lists, kLists) * size.stride * int64_t(sizeof(Key));
  size.most_blocks = kMostBlocks;
  return size;
}

// ---- long lists ----

// sift_short for a long list, in scratch, by the block. work: where there is room to sort, or nullptr.
__device__ void sift_long(const RankingRequest& request, ListState& state, Key* key, Key* work,
                          int64_t room, int r, int64_t k) {
  const int64_t count = min(int64_t{state.count[r]}, room), sifted = state.sifted[r];
  const int64_t padded = power_of_two_from(max(count, k + 1));
  if (work == nullptr) work = key;
  for (int64_t place = threadIdx.x; place < padded; place += kThreads) {
    Key one = place < count ? key[place] : 0;
    if (place >= sifted && place < count) {
      const Key only[1] = {one};
      if (may_show(request, state.user[r], only) == 0) one = 0;
    }
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

// A thread's scores: of lists side by side, and of items side by side in each half of the tile.
struct Tile {
  int first_list, first_item;
  float sum[kThreadLists][kThreadItems];

  __device__ float score(int i, int j) const { return sum[i][j]; }
  __device__ int list(int i) const { return first_list + i; }
  __device__ int item(int j) const { return first_item + j / 4 * (kItems / 2) + j % 4; }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (auto& row : sum)
#pragma unroll
      for (float& s : row) s = 0.0f;
  }
  // Four columns of both panels, from `col`.
  __device__ __forceinline__ void add(const float* users, const float* items, int col) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const Floats<4> a = load<4>(users + cell<kLists>(col + c, first_list));
      const Floats<4> b[2] = {load<4>(items + cell<kItems>(col + c, first_item)),
                              load<4>(items + cell<kItems>(col + c, first_item + kItems / 2))};
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
        for (int j = 0; j < kThreadItems; ++j) sum[i][j] = fmaf(a[i], b[j / 4][j % 4], sum[i][j]);
    }
  }
};

// ---- the kernels ----

// Blocks to a multiprocessor. Keeping track of long lists takes the registers of a second block.
constexpr int blocks_at_once(int width, bool is_short) {
  return !is_short || (width == 1 && compiled_for_less_than(90)) ? 1 : 2;
}

// Finds the best k of each list of a tile among the items of one split. Short: candidates are in
// shared memory.
template <int Width, bool Short>
__global__ __launch_bounds__(kThreads, blocks_at_once(Width, Short)) void rank_tile(Work work) {
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
      sift_short<kShortRoom>(request, state, candidates(r), r, int(plan.k));
    else
      sift_long(request, state, candidates(r), plan.room <= kMostSorted ? sorting : nullptr,
                plan.room, r, plan.k);
  };
  // A warp sifts a short list, the block a long one.
  const int first_sifted = Short ? warp : 0, next_sifted = Short ? kWarps : 1;

  if (thread < kLists) {
    bool some = first + thread < work.lists;
    int32_t vector = -1, user = 0;
    if (some) {
      const int64_t list = work.list(first + thread);
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

  // Lanes are 4 by 8 in a warp, so that a warp reads 16 lists and 32 items of each half.
  Tile tile{
      .first_list = (warp / 2 * 4 + lane / 8) * kThreadLists,
      .first_item = (warp % 2 * 8 + lane % 8) * 4,
      .sum = {},
  };
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
    for (int col = 0; col < depth; col += 4) tile.add(user_chunk, item_chunk, col);
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
    bool finite = true;
#pragma unroll
    for (int i = 0; i < kThreadLists; ++i)
#pragma unroll
      for (int j = 0; j < kThreadItems; ++j) finite = finite && fabsf(tile.score(i, j)) <= FLT_MAX;
    if (!finite) {
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i) {
        if (state.vector[tile.list(i)] < 0) continue;
        const Place list = Place(work.list(first + tile.list(i)));
#pragma unroll
        for (int j = 0; j < kThreadItems; ++j) {
          const int64_t item = tile_item + tile.item(j);
          if (item < last_item && !(fabsf(tile.score(i, j)) <= FLT_MAX))
            atomicMin(&work.refused->score, list * Place(request.item.rows) + Place(item));
        }
      }
    }
    append(state, tile, above_bounds(state, tile, last_item - tile_item), tile_item, plan.room,
           candidates, [&] {
             for (int r = first_sifted; r < kLists; r += next_sifted)
               if (state.count[r] >= plan.room) sift(r);
           });
    tile_item = next_item;
  }

  for (int r = first_sifted; r < kLists && first + r < work.lists; r += next_sifted) {
    sift(r);
    if (Short && lane < plan.k)
      key[r * list_stride + lane] = lane < state.sifted[r] ? candidates(r)[lane] : 0;
  }
}

void rank_exactly(Work work, MatrixView<int32_t> top_item, MatrixView<float> top_score,
                  VectorView<std::byte> scratch, Stream stream) {
  const RankingRequest& request = work.request;
  const int64_t lists = work.all_lists(), items = request.item.rows;
  work.plan = plan_of(lists, items, exact_size(lists, items, top_item.cols), scratch.size);
  work.key = reinterpret_cast<Key*>(scratch.data);
  const Plan& plan = work.plan;
  const int64_t chunks = std::max<int64_t>(ceil_div(request.item.cols, kDepth), 1);
  const int64_t user_chunks = request.item.cols <= kResidentDepth ? chunks : 2;
  const int64_t sorted = is_short(plan)             ? kLists * kShortRoom
                         : plan.room <= kMostSorted ? plan.room
                                                    : 0;
  const size_t tile_bytes = sizeof(float) * kDepth * size_t(2 * kItems + user_chunks * kLists) +
                            sizeof(Key) * size_t(sorted);
  with_width(vector_width({request.user, request.item}), [&]<int Width>() {
    const auto kernel = is_short(plan) ? rank_tile<Width, true> : rank_tile<Width, false>;
    for_lists_at_once(work, [&] {
      launch(kernel, unsigned(ceil_div(work.lists, kLists) * plan.splits), kThreads, tile_bytes,
             stream, work);
      merge(work, top_item, top_score, stream);
    });
  });
}

// ---- the call ----

// What a call has in scratch for its whole length; `rest` is what each part of it uses in turn.
struct Lasting {
  Refused* refused;
  Search search;  // empty where there is none
  int64_t bytes;
};
Lasting take_lasting(std::byte* memory, const RankingRequest& request, int64_t length,
                     Precision precision) {
  Carver carver(memory);
  Lasting own{};
  own.refused = carver.take<Refused>(1).data;
  own.search.work.request = request;
  if (searches(precision, request.item.rows, request.item.cols, length)) {
    own.search.words = words_of(precision, request.item.cols);
    take_lasting(carver, request.user_row.size, own.search);
  }
  own.bytes = carver.bytes();
  return own;
}

}  // namespace

int64_t rank_scratch_bytes(int64_t lists, int64_t items, int64_t dim, int64_t k,
                           Precision precision, int64_t most_bytes) {
  RankingRequest request;
  request.user_row.size = lists;
  request.item = {nullptr, items, dim};
  Lasting own = take_lasting(nullptr, request, k, precision);
  const int64_t most = most_bytes - own.bytes;
  int64_t rest = plan_of(lists, items, exact_size(lists, items, k), most).bytes();
  if (searches(precision, items, dim, k)) {
    plan_search(own.search, lists, k, most);
    Carver carver(nullptr);
    take_passing(carver, own.search);
    rest = std::max({rest, carver.bytes(), column_sums_scratch_bytes(items, dim)});
  }
  return own.bytes + rest;
}

int64_t rank(const RankingRequest& request, MatrixView<int32_t> top_item,
             MatrixView<float> top_score, VectorView<std::byte> scratch, Precision precision,
             Stream stream) {
  require_ranking_shapes(request, top_item, top_score);
  const int64_t lists = request.user_row.size, items = request.item.rows, k = top_item.cols;
  require_scratch(scratch, rank_scratch_bytes(lists, items, request.item.cols, k, precision, 0),
                  "ranking: scratch must have rank_scratch_bytes bytes, aligned to 256");
  if (lists == 0) return 0;
  Lasting own = take_lasting(scratch.data, request, k, precision);
  const VectorView<std::byte> rest = {scratch.data + own.bytes, scratch.size - own.bytes};
  REC_CUDA_CHECK(cudaMemsetAsync(own.refused, 0xFF, sizeof(Refused), stream));
  Work exact;
  exact.request = request;
  exact.refused = own.refused;

  int uncertain = 0;
  const bool search = searches(precision, items, request.item.cols, k);
  if (search) {
    plan_search(own.search, lists, k, rest.size);
    if (precision == Precision::tf32)
      search_candidates<Tf32>(own.search, top_item, top_score, rest, stream);
    else
      search_candidates<Bf16Pair>(own.search, top_item, top_score, rest, stream);
    REC_CUDA_CHECK(cudaMemcpyAsync(&uncertain, own.search.uncertain_count, sizeof uncertain,
                                   cudaMemcpyDeviceToHost, stream));
    REC_CUDA_CHECK(cudaStreamSynchronize(stream));
    if (uncertain == 0) return 0;
    exact.chosen = {own.search.uncertain, uncertain};
  }
  rank_exactly(exact, top_item, top_score, rest, stream);

  Refused refused;
  REC_CUDA_CHECK(
      cudaMemcpyAsync(&refused, own.refused, sizeof refused, cudaMemcpyDeviceToHost, stream));
  REC_CUDA_CHECK(cudaStreamSynchronize(stream));
  constexpr Place kNone = ~Place{0};
  require(refused.vector == kNone, "ranking: user_row names a vector that does not exist");
  require(refused.user == kNone, "ranking: user_id names a user whom a mask does not know");
  if (refused.score != kNone)
    refuse_ranking_score(int64_t(refused.score) / items, int64_t(refused.score) % items);
  return uncertain;
}

}  // namespace rec::cuda
