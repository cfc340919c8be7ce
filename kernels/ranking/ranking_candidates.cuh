// Ranking in reduced precision that ends where fp32 does (docs/kernels/ranking.md, "Candidates"):
//
//   c = mean of the items      a(l, i) = r(u_l) . r(v_i - c), r rounding to tf32 or bf16
//   candidates: about 2 k items of each list, by a
//   their fp32 scores s, in the fp32 way's own order of sums; the best k of these
//   certain when s_k > u_l . c + b + margin,  b at least every a that was dropped
//
// Lists that are not certain are returned, to be made in fp32.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/common/carve.h"
#include "kernels/common/column_sums.h"
#include "kernels/common/gpu_ptx.h"
#include "kernels/common/precision.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/ranking/ranking_lists.cuh"

namespace rec::cuda {
namespace {

// Rounded vectors are rows of 32-bit words, filled up with zeros to whole chunks: the words that
// are in shared memory at once.
constexpr int kChunkWords = 32;
constexpr int kResidentWords = 128;  // vectors of lists up to this long stay there
constexpr int kCandidateRoom = 112;  // more than twice the longest short list
// Five times what a large GPU runs at once; each split has candidates of its own.
constexpr int64_t kMostSearchBlocks = 1280;
constexpr int64_t kWidest = 1 << 16;  // values of a vector; up to here the margin holds

// What a word holds, and how far rounding takes a normal number from itself.
struct Tf32 {
  static constexpr int kValues = 1;
  static constexpr double kRounding = 0x1p-11;
  static __device__ uint32_t word(const float (&value)[kValues]) { return tf32_bits(value[0]); }
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    multiply_tf32(d, a, b);
  }
};
struct Bf16Pair {
  static constexpr int kValues = 2;
  static constexpr double kRounding = kBf16Rounding;
  static __device__ uint32_t word(const float (&value)[kValues]) {
    return bf16_pair(value[0], value[1]);
  }
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    multiply_bf16(d, a, b);
  }
};

int64_t words_of(Precision precision, int64_t dim) {
  const int64_t values = precision == Precision::tf32 ? Tf32::kValues : Bf16Pair::kValues;
  return ceil_div(dim, values * kChunkWords) * kChunkWords;
}

// The largest squared norms of the items, as the bits of doubles: these ascend as the numbers do,
// and NaN is above all.
struct ItemNorms {
  Place whole;    // |v|^2
  Place centred;  // |v - c|^2, the difference rounded to float
};

// Of one list.
struct ScoreError {
  double centre;  // u . c
  double margin;  // the most by which s and a + u . c differ; infinite: not known
};

struct Search {
  Work work;
  int64_t words;               // of a rounded vector
  VectorView<float> item_sum;  // [dim]
  float item_share;            // 1 / items
  ItemNorms* norms;
  uint32_t* item;        // [items in whole tiles, words]
  uint32_t* user;        // [lists at once in whole tiles, words]
  ScoreError* error;     // [lists at once]
  float* dropped;        // [lists at once, splits], at least every a dropped; infinite: not known
  int32_t* uncertain;    // [lists], and
  int* uncertain_count;  // how many there are
};

// c must be the same wherever it is used: the product is rounded, and joins no subtraction as an FMA.
__device__ float centre(const Search& search, int64_t col) {
  return __fmul_rn(search.item_sum[col], search.item_share);
}

// ---- rounding ----

// A block a tile of items, a warp a row.
template <class Operand>
__global__ __launch_bounds__(kThreads) void round_items(Search search) {
  const MatrixView<const float> item = search.work.request.item;
  const int warp = int(threadIdx.x) / kWarpSize, lane = int(threadIdx.x) % kWarpSize;
  Place whole_most = 0, centred_most = 0;
  for (int r = warp; r < kItems; r += kWarps) {
    const int64_t row = int64_t{blockIdx.x} * kItems + r;
    double whole = 0.0, centred = 0.0;
    for (int64_t w = lane; w < search.words; w += kWarpSize) {
      float value[Operand::kValues] = {};
#pragma unroll
      for (int v = 0; v < Operand::kValues; ++v) {
        const int64_t col = w * Operand::kValues + v;
        if (row >= item.rows || col >= item.cols) continue;
        const float x = item(row, col);
        value[v] = x - centre(search, col);
        whole += double(x) * x;
        centred += double(value[v]) * value[v];
      }
      search.item[row * search.words + w] = Operand::word(value);
    }
    whole_most = max(whole_most, std::bit_cast<Place>(warp_sum(whole)));
    centred_most = max(centred_most, std::bit_cast<Place>(warp_sum(centred)));
  }
  if (lane != 0) return;
  atomicMax(&search.norms->whole, whole_most);
  atomicMax(&search.norms->centred, centred_most);
}

__device__ bool knows_user(const RankingRequest& request, int32_t user) {
  for (int m = 0; m < kMaxMasks; ++m)
    if (m < request.masks && (user < 0 || user >= request.mask[m].rows)) return false;
  return true;
}

// The most by which s, and a + u . c, of a list and any item differ, where none of them overflows.
template <class Operand>
__device__ double margin(double user, double item, double centred, double dim, double products) {
  constexpr double kLargest = 0x1p126, kSmallest = 0x1p-126;
  if (!(user < kLargest && centred < kLargest && user * item < kLargest &&
        user * centred < kLargest))
    return INFINITY;
  constexpr double kEach = Operand::kRounding + 0x1p-22;
  const double rounded = centred * (kEach * (2.0 + kEach) + products * 0x1p-22);
  const double exact = item * dim * 0x1p-23;
  return (user * (rounded + exact) + products * kSmallest * (user + centred + 4.0)) *
         (1.0 + 0x1p-30);
}

// A block a tile of lists, a warp a row.
template <class Operand>
__global__ __launch_bounds__(kThreads) void round_users(Search search) {
  const RankingRequest& request = search.work.request;
  const int warp = int(threadIdx.x) / kWarpSize, lane = int(threadIdx.x) % kWarpSize;
  for (int r = warp; r < kLists; r += kWarps) {
    const int64_t row = int64_t{blockIdx.x} * kLists + r;
    int64_t vector = -1;
    if (row < search.work.lists) {
      const int64_t list = search.work.list(row);
      vector = request.user_row[list];
      if (vector >= request.user.rows || !knows_user(request, request.user_id[list])) vector = -1;
    }
    double square = 0.0, at_centre = 0.0;
    for (int64_t w = lane; w < search.words; w += kWarpSize) {
      float value[Operand::kValues] = {};
#pragma unroll
      for (int v = 0; v < Operand::kValues; ++v) {
        const int64_t col = w * Operand::kValues + v;
        if (vector < 0 || col >= request.user.cols) continue;
        value[v] = request.user(vector, col);
        square += double(value[v]) * value[v];
        at_centre += double(value[v]) * centre(search, col);
      }
      search.user[row * search.words + w] = Operand::word(value);
    }
    square = warp_sum(square);
    at_centre = warp_sum(at_centre);
    if (lane != 0 || row >= search.work.lists) continue;
    const auto root = [](Place bits) { return sqrt(std::bit_cast<double>(bits)); };
    search.error[row] = {
        .centre = at_centre,
        .margin = vector < 0
                      ? INFINITY
                      : margin<Operand>(sqrt(square), root(search.norms->whole),
                                        root(search.norms->centred), double(request.user.cols),
                                        double(search.words * Operand::kValues))};
  }
}

// ---- candidates ----

struct alignas(16) Words {
  uint32_t word[4];
};

// Where four words of a row of a panel lie. Odd rows are turned, so that 8 lanes that read four
// columns of two rows meet no bank twice.
__device__ __forceinline__ int words_at(int row, int four) {
  return row * kChunkWords + (four ^ row % 2 * 4) * 4;
}

// A chunk of `Rows` rounded vectors on its way from memory to a panel.
template <int Rows>
struct FetchedWords {
  static constexpr int kLanes = kChunkWords / 4;  // of a row
  static constexpr int kEach = Rows * kLanes / kThreads;
  Words value[kEach];

  __device__ __forceinline__ void fetch(const uint32_t* first, int64_t stride) {
#pragma unroll
    for (int t = 0; t < kEach; ++t)
      value[t] = *reinterpret_cast<const Words*>(first + row(t) * stride + four() * 4);
  }
  __device__ __forceinline__ void put(uint32_t* panel) const {
#pragma unroll
    for (int t = 0; t < kEach; ++t)
      *reinterpret_cast<Words*>(panel + words_at(row(t), four())) = value[t];
  }

 private:
  static __device__ int row(int t) { return int(threadIdx.x) / kLanes + t * (kThreads / kLanes); }
  static __device__ int four() { return int(threadIdx.x) % kLanes; }
};

// A warp has 32 lists by 32 items of a tile: 2 by 4 products of tensor cores.
struct TensorTile {
  int first_list, first_item;  // of the lane
  float sum[kThreadLists / 2][kThreadItems / 2][4];

  __device__ float score(int i, int j) const { return sum[i / 2][j / 2][i % 2 * 2 + j % 2]; }
  __device__ int list(int i) const { return first_list + i * 8; }
  __device__ int item(int j) const { return first_item + j / 2 * 8 + j % 2; }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (auto& row : sum)
#pragma unroll
      for (auto& product : row)
#pragma unroll
        for (float& s : product) s = 0.0f;
  }
  // A chunk of both panels. A lane of a product wants 2 words of a row and does not care which, as
  // long as lists and items agree: it takes 4 neighbours for two products.
  template <class Operand>
  __device__ __forceinline__ void add(const uint32_t* users, const uint32_t* items) {
    const int quad = int(threadIdx.x) % 4, row = int(threadIdx.x) % kWarpSize / 4;
    const int item_row = first_item - quad * 2 + row;
#pragma unroll 1
    for (int half = 0; half < kChunkWords / 16; ++half) {
      Words a[kThreadLists];
#pragma unroll
      for (int i = 0; i < kThreadLists; ++i)
        a[i] = *reinterpret_cast<const Words*>(users + words_at(list(i), half * 4 + quad));
#pragma unroll
      for (int j = 0; j < kThreadItems / 2; ++j) {
        const Words b =
            *reinterpret_cast<const Words*>(items + words_at(item_row + j * 8, half * 4 + quad));
#pragma unroll
        for (int w = 0; w < 4; w += 2)
#pragma unroll
          for (int i = 0; i < kThreadLists; i += 2)
            Operand::multiply(
                sum[i / 2][j],
                {a[i].word[w], a[i + 1].word[w], a[i].word[w + 1], a[i + 1].word[w + 1]},
                {b.word[w], b.word[w + 1]});
      }
    }
  }
};

// Finds the candidates of each list of a tile among the items of one split, the best first.
template <class Operand>
__global__ __launch_bounds__(kThreads, compiled_for_less_than(90)
                                           ? 1
                                           : 2) void find_candidates(Search search) {
  const Work& work = search.work;
  const RankingRequest& request = work.request;
  const Plan& plan = work.plan;
  REC_SHARED_ARRAY(ListState, states, [1]);
  ListState& state = states[0];
  REC_SHARED_MEMORY(uint32_t, memory);
  const int chunks = int(search.words / kChunkWords);
  const bool resident = search.words <= kResidentWords;
  uint32_t* const item_panel = memory;                                 // [2][kItems, kChunkWords]
  uint32_t* const user_panel = item_panel + 2 * kItems * kChunkWords;  // [chunks or 2][kLists, ..]
  Key* const sorting =
      reinterpret_cast<Key*>(user_panel + (resident ? chunks : 2) * kLists * kChunkWords);

  const int64_t split = blockIdx.x % plan.splits;
  const int64_t first = blockIdx.x / plan.splits * kLists;  // list of this launch
  const int first_item = int(split * plan.items_of_split);
  const int last_item = int(min(first_item + plan.items_of_split, request.item.rows));
  const int thread = int(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;
  const auto candidates = [=](int r) { return sorting + r * kCandidateRoom; };
  const auto sift = [&](int r) {
    sift_short<kCandidateRoom>(request, state, candidates(r), r, int(plan.k));
  };
  if (thread < kLists) {
    const int64_t row = first + thread;
    const bool some = row < work.lists && search.error[row].margin < INFINITY;
    state.bound[thread] = some ? -INFINITY : INFINITY;
    state.count[thread] = state.sifted[thread] = 0;
    state.user[thread] = some ? request.user_id[work.list(row)] : 0;
  }

  const auto fetch_users = [&](int chunk, int place) {
    FetchedWords<kLists> users;
    users.fetch(search.user + first * search.words + chunk * kChunkWords, search.words);
    users.put(user_panel + place * kLists * kChunkWords);
  };
  FetchedWords<kItems> items;
  const auto fetch_items = [&](int from, int chunk) {
    items.fetch(search.item + int64_t{from} * search.words + chunk * kChunkWords, search.words);
  };
  for (int c = 0; c < (resident ? chunks : 1); ++c) fetch_users(c, c);
  fetch_items(first_item, 0);
  items.put(item_panel);
  __syncthreads();

  TensorTile tile{.first_list = warp / 4 * 32 + lane / 4,
                  .first_item = warp % 4 * 32 + lane % 4 * 2,
                  .sum = {}};
  int side = 0, chunk = 0;  // the panels in use, and the chunk of words they hold
  for (int tile_item = first_item; tile_item < last_item;) {
    const bool whole = chunk + 1 == chunks;
    const int next_item = whole ? tile_item + kItems : tile_item;
    const int next_chunk = whole ? 0 : chunk + 1;
    if (next_item < last_item) fetch_items(next_item, next_chunk);
    if (chunk == 0) tile.clear();
    tile.add<Operand>(user_panel + (resident ? chunk : side) * kLists * kChunkWords,
                      item_panel + side * kItems * kChunkWords);
    side = 1 - side;
    if (next_item < last_item) {
      items.put(item_panel + side * kItems * kChunkWords);
      if (!resident) fetch_users(next_chunk, side);
    }
    chunk = next_chunk;
    if (!whole) {
      __syncthreads();
      continue;
    }
    append(state, tile, above_bounds(state, tile, last_item - tile_item), tile_item, kCandidateRoom,
           candidates, [&] {
             for (int r = warp; r < kLists; r += kWarps)
               if (state.count[r] >= kCandidateRoom) sift(r);
           });
    tile_item = next_item;
  }

  for (int r = warp; r < kLists && first + r < work.lists; r += kWarps) {
    sift(r);
    const int64_t piece = (first + r) * plan.splits + split;
    for (int64_t place = lane; place < plan.k; place += kWarpSize)
      work.key[piece * plan.stride + place] = place < state.sifted[r] ? candidates(r)[place] : 0;
    if (lane == 0) search.dropped[piece] = state.bound[r];
  }
}

// ---- their scores, and whether these are enough ----

// As rank_tile makes it: one FMA a column, in column order.
template <int Width>
__device__ float exact_score(const float* user, const float* item, int64_t dim) {
  float score = 0.0f;
  for (int64_t col = 0; col < dim; col += Width) {
    const Floats<Width> a = load<Width>(user + col), b = load<Width>(item + col);
#pragma unroll
    for (int w = 0; w < Width; ++w) score = fmaf(a[w], b[w], score);
  }
  return score;
}

// A warp a list and split: replaces a by s, in order. Candidates that a alone shows to be behind k
// others are left out.
template <int Width>
__global__ __launch_bounds__(kThreads) void score_candidates(Search search, int64_t length) {
  constexpr int kEach = 2 * kShortList / kWarpSize;
  const Work& work = search.work;
  const RankingRequest& request = work.request;
  const Plan& plan = work.plan;
  const int lane = int(threadIdx.x) % kWarpSize, k = int(plan.k);
  const int64_t piece = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarpSize;
  if (piece >= work.lists * plan.splits) return;
  const int64_t row = piece / plan.splits;
  const double margin = search.error[row].margin;
  Key* const key = work.key + piece * plan.stride;
  const Key last = length <= k ? key[length - 1] : 0;
  const double bar = last != 0 ? double(score_of(last)) - 2.0 * margin : -INFINITY;
  Key mine[kEach];
  int better[kEach] = {}, found = 0;
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    const int place = lane + t * kWarpSize;
    mine[t] = place < k ? key[place] : 0;
    if (mine[t] != 0 && double(score_of(mine[t])) < bar) mine[t] = 0;
    if (mine[t] != 0) {
      const int32_t item = item_of(mine[t]);
      const float* const user = request.user.row(request.user_row[work.list(row)]);
      mine[t] = key_of(exact_score<Width>(user, request.item.row(item), request.item.cols), item);
    }
    found += __popc(__ballot_sync(kFullWarp, mine[t] != 0));
  }
  __syncwarp();
#pragma unroll
  for (int t = 0; t < kEach; ++t)
    if (lane + t * kWarpSize < k) key[lane + t * kWarpSize] = mine[t];
  __syncwarp();
  count_better(key, k, mine, better);
  __syncwarp();
#pragma unroll
  for (int t = 0; t < kEach; ++t) {
    const int place = lane + t * kWarpSize;
    if (place >= found && place < k) key[place] = 0;
    if (mine[t] != 0) key[better[t]] = mine[t];
  }
}

// A thread a list.
__global__ __launch_bounds__(kThreads) void collect_uncertain(Search search,
                                                              MatrixView<const float> top_score) {
  const Work& work = search.work;
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= work.lists) return;
  float dropped = -INFINITY;
  for (int64_t split = 0; split < work.plan.splits; ++split)
    dropped = fmaxf(dropped, search.dropped[row * work.plan.splits + split]);
  const ScoreError error = search.error[row];
  const int64_t list = work.list(row);
  const double last = double(top_score(list, top_score.cols - 1));
  const bool certain = dropped == -INFINITY || last > error.centre + double(dropped) + error.margin;
  if (!certain) search.uncertain[atomicAdd(search.uncertain_count, 1)] = int32_t(list);
}

// ---- the search ----

ListSize candidate_size(int64_t items, int64_t length, int64_t words) {
  ListSize size;
  // With room for more than there are, nothing is dropped, and this shows.
  size.k = std::min(items + 1, 2 * length);
  size.room = kCandidateRoom;
  size.stride = size.k;
  size.most_blocks = kMostSearchBlocks;
  size.bytes_of_block =
      kLists * (size.k * int64_t(sizeof(Key)) + words * int64_t(sizeof(uint32_t)) +
                int64_t(sizeof(ScoreError)) + int64_t(sizeof(float)));
  return size;
}

bool searches(Precision precision, int64_t items, int64_t dim, int64_t length) {
  return precision != Precision::fp32 && items > 0 && length <= kShortList && dim > 0 &&
         dim <= kWidest;
}

// What stays from the first launch to the last.
void take_lasting(Carver& carver, int64_t lists, Search& search) {
  const MatrixView<const float> item = search.work.request.item;
  search.norms = carver.take<ItemNorms>(1).data;
  search.item_sum = carver.take<float>(item.cols);
  search.item_share = 1.0f / float(item.rows);
  search.item = carver.take<uint32_t>(ceil_div(item.rows, kItems) * kItems * search.words).data;
  search.uncertain = carver.take<int32_t>(lists).data;
  search.uncertain_count = carver.take<int>(1).data;
}

// What one launch leaves for the next.
void take_passing(Carver& carver, Search& search) {
  const Plan& plan = search.work.plan;
  const int64_t pieces = plan.blocks * kLists;
  search.work.key = carver.take<Key>(pieces * plan.stride).data;
  search.dropped = carver.take<float>(pieces).data;
  search.error = carver.take<ScoreError>(plan.lists_at_once).data;
  search.user = carver.take<uint32_t>(plan.lists_at_once * search.words).data;
}

void plan_search(Search& search, int64_t lists, int64_t length, int64_t most_bytes) {
  constexpr int64_t kBetweenArrays = 4 * kScratchAlignment;
  const int64_t items = search.work.request.item.rows;
  search.work.plan = plan_of(lists, items, candidate_size(items, length, search.words),
                             most_bytes - kBetweenArrays);
}

// Makes all lists, and counts those that are not certain.
template <class Operand>
void search_candidates(Search& search, MatrixView<int32_t> top_item, MatrixView<float> top_score,
                       VectorView<std::byte> scratch, Stream stream) {
  Work& work = search.work;
  const Plan& plan = work.plan;
  const MatrixView<const float> item = work.request.item;
  REC_CUDA_CHECK(cudaMemsetAsync(search.norms, 0, sizeof(ItemNorms), stream));
  REC_CUDA_CHECK(cudaMemsetAsync(search.uncertain_count, 0, sizeof(int), stream));
  column_sums(item, item.rows_from(0, 0), search.item_sum, scratch, stream);
  Carver carver(scratch.data);
  take_passing(carver, search);
  launch(round_items<Operand>, unsigned(ceil_div(item.rows, kItems)), kThreads, 0, stream, search);
  const int64_t user_words =
      search.words <= kResidentWords ? search.words : 2 * int64_t{kChunkWords};
  const size_t tile_bytes =
      sizeof(uint32_t) * size_t(2 * kItems * kChunkWords + kLists * user_words) +
      sizeof(Key) * kLists * kCandidateRoom;
  with_width(vector_width({work.request.user, item}), [&]<int Width>() {
    for_lists_at_once(work, [&] {
      const unsigned tiles = unsigned(ceil_div(work.lists, kLists));
      launch(round_users<Operand>, tiles, kThreads, 0, stream, search);
      launch(find_candidates<Operand>, tiles * unsigned(plan.splits), kThreads, tile_bytes, stream,
             search);
      launch(score_candidates<Width>, unsigned(ceil_div(work.lists * plan.splits, kWarps)),
             kThreads, 0, stream, search, top_item.cols);
      merge(work, top_item, top_score, stream);
      launch(collect_uncertain, unsigned(ceil_div(work.lists, kThreads)), kThreads, 0, stream,
             search, top_score);
    });
  });
}

}  // namespace
}  // namespace rec::cuda
