#include "kernels/softmax/softmax.h"

#include <algorithm>

#include "kernels/batch_gradient/loss_sum_cuda.cuh"
#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/exp.cuh"
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/temperature.h"
#include "kernels/common/vector_io.cuh"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// A block owns 128 vectors, 16 a warp, and walks the others 64 at a time. A warp's lanes are 4 down
// by 8 across: of its 16 x 64 scores a thread makes 4 x 8, and so of the 16 x 64 columns of sums.
constexpr int kOwn = 128;
constexpr int kOther = 64;
constexpr int kDepth = 64;  // columns of vectors in shared memory, and of the sums of a block
constexpr int kQuad = 4;    // floats that shared memory gives out at once
constexpr int kAcross = 8;  // lanes side by side
constexpr int kDown = kWarpSize / kAcross;
constexpr int kShareOwn = kOwn / kWarps / kDown;  // a thread's owned vectors
constexpr int kShareOther = kOther / kAcross;     // and others
// Neighbouring rows begin 4 banks apart, so that the 8 rows a warp reads a quad of do not collide;
// of weights 8, since a warp writes 4 rows of 8.
constexpr int kStride = kDepth + kQuad;
constexpr int kWeightStride = kOther + kAcross;

// The others are cut into shares, each a block's, until there are so many blocks: several times what
// a GPU runs at once. No share is so short that its sums cost more than its products.
constexpr int64_t kWantedBlocks = 1024;
constexpr int64_t kFewestOther = 256;

// Vectors of up to kDepth columns are narrow: a block's own stay in shared memory as they are.
// Blocks on a multiprocessor, by shared memory (112 KB each, 146 KB where wide) and registers.
constexpr int blocks_at_once(bool narrow) { return narrow && !compiled_for_less_than(90) ? 2 : 1; }

using Quad = Floats<kQuad>;

// Vectors by number: the rows of a matrix, or the rows that a list names.
struct Vectors {
  MatrixView<const float> of;
  const int32_t* id;  // null: all rows in order
  int count;
  const int32_t* fewer = nullptr;  // in device memory: how many of them there are; null: count

  __device__ int there() const { return fewer == nullptr ? count : *fewer; }
  // Null past the last.
  __device__ const float* row(int r) const {
    return r < count ? of.row(id == nullptr ? r : id[r]) : nullptr;
  }
};

// How a walk is shared out. Every bit depends on it, and it on the shapes alone.
struct Plan {
  int64_t own, other, dim;
  int64_t slabs;           // of kDepth columns of the sums: each a block's
  int64_t shares;          // of the others
  int64_t other_of_share;  // a multiple of kOther
  int64_t stride;          // of sums: dim, rounded up to whole quads

  unsigned blocks() const { return unsigned(ceil_div(own, kOwn) * slabs * shares); }
  int64_t sums() const { return shares * own * stride; }
};
Plan plan_of(int64_t own, int64_t other, int64_t dim) {
  Plan plan{own,
            other,
            dim,
            std::max<int64_t>(ceil_div(dim, kDepth), 1),
            0,
            0,
            ceil_div(dim, kQuad) * kQuad};
  const int64_t blocks = std::max<int64_t>(ceil_div(own, kOwn) * plan.slabs, 1);
  const int64_t share = std::max(ceil_div(other, ceil_div(kWantedBlocks, blocks)), kFewestOther);
  plan.other_of_share = ceil_div(share, kOther) * kOther;
  plan.shares = ceil_div(other, plan.other_of_share);
  return plan;
}

// What the items' walk needs of a row of the batch.
struct alignas(16) RowSoftmax {
  float largest;        // score
  float scale;          // of its weights, to be derivatives
  float positive_grad;  // the positive's derivative
  int32_t positive;     // its number among the items walked
};

struct SoftmaxScratch {
  VectorView<RowSoftmax> row;        // [batch]
  VectorView<float> positive_score;  // [batch]
  VectorView<float> largest;         // [shares of items, batch]
  VectorView<double> others;         // [shares of items, batch]: weights but the positive's
  VectorView<float> sum;             // [shares, own, stride], of one walk and then of the other

  SoftmaxScratch(Carver& carver, const Plan& of_rows, const Plan& of_items)
      : row(carver.take<RowSoftmax>(of_rows.own)),
        positive_score(carver.take<float>(of_rows.own)),
        largest(carver.take<float>(of_rows.shares * of_rows.own)),
        others(carver.take<double>(of_rows.shares * of_rows.own)),
        sum(carver.take<float>(std::max(of_rows.sums(), of_items.sums()))) {}
};

// The rows of a domain, where there are several, by user; at most the batch's.
struct DomainRows {
  VectorView<int32_t> count;                // [1]
  VectorView<int32_t> row, user, positive;  // [batch]: rows, their users, their items' numbers

  DomainRows(Carver& carver, int64_t batch)
      : count(carver.take<int32_t>(1)),
        row(carver.take<int32_t>(batch)),
        user(carver.take<int32_t>(batch)),
        positive(carver.take<int32_t>(batch)) {}
};

// A batch's positives as candidates: numbered in the order of their ids within a domain, at most
// `most`.
struct Positives {
  using Word = unsigned long long;
  static constexpr int kWordBits = 64;

  VectorView<int32_t> count;              // [1]: candidates
  VectorView<int32_t> item;               // [most]
  VectorView<int32_t> uses_before;        // [most + 1]: rows with an earlier candidate
  VectorView<float> times;                // [most]: rows with this one
  VectorView<int32_t> candidate_of_item;  // [items]; -1: nobody's positive
  VectorView<int32_t> candidate_of_row;   // [batch]
  VectorView<Word> left_out;              // [batch, words]: candidates, a bit each
  int64_t words;                          // of a row

  Positives(Carver& carver, int64_t batch, int64_t items, int64_t most)
      : count(carver.take<int32_t>(1)),
        item(carver.take<int32_t>(most)),
        uses_before(carver.take<int32_t>(most + 1)),
        times(carver.take<float>(most)),
        candidate_of_item(carver.take<int32_t>(items)),
        candidate_of_row(carver.take<int32_t>(batch)),
        left_out(carver.take<Word>(batch * ceil_div(most, kWordBits))),
        words(ceil_div(most, kWordBits)) {}

  // The word of row b that candidate c has a bit of.
  __device__ Word& word(int64_t b, int64_t c) const { return left_out[b * words + c / kWordBits]; }
};

// A thread a row of the domain whose users are first .. end - 1. positive: of each row of the batch,
// a number that is first_positive at the domain's first.
__global__ __launch_bounds__(kThreads) void list_rows(BatchView batch, int64_t first, int64_t end,
                                                      const int32_t* positive,
                                                      int64_t first_positive, DomainRows rows) {
  const int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t begin = batch.user_start[first], count = batch.user_start[end] - begin;
  if (b == 0) rows.count[0] = int32_t(count);
  if (b >= count) return;
  const int32_t row = batch.user_row[begin + b];
  rows.row[b] = row;
  rows.user[b] = batch.user[row];
  rows.positive[b] = int32_t(positive[row] - first_positive);
}

__global__ __launch_bounds__(kThreads) void clear_candidates(
    VectorView<int32_t> candidate_of_item) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < candidate_of_item.size) candidate_of_item[i] = -1;
}

// One block, which goes through the uses of the items first_item .. end_item - 1, a thread each: one
// that is its item's first as a positive makes a candidate.
constexpr int kFindThreads = 1024;
__global__ __launch_bounds__(kFindThreads) void find_candidates(BatchView batch, int64_t first_item,
                                                                int64_t end_item,
                                                                Positives positives) {
  REC_SHARED_ARRAY(int64_t, warp_sums, [kFindThreads / kWarpSize]);
  const int64_t slots = 1 + batch.negatives();
  const int64_t end = batch.item_start[end_item];
  int64_t before = 0;  // candidates, and in the high half rows
  for (int64_t first = batch.item_start[first_item]; first < end; first += kFindThreads) {
    const int64_t at = first + threadIdx.x;
    const int64_t use = at < end ? batch.item_use[at] : -1;
    const bool is_positive = use >= 0 && use % slots == 0;
    int32_t item = -1;
    bool makes_one = false;
    if (is_positive) {
      item = batch.positive[use / slots];
      int64_t earlier = at - 1;
      while (earlier >= batch.item_start[item] && batch.item_use[earlier] % slots != 0) --earlier;
      makes_one = earlier < batch.item_start[item];
    }
    const Prefix<int64_t> prefix =
        block_prefix<kFindThreads>(int64_t{makes_one} + (int64_t{is_positive} << 32), warp_sums);
    const int64_t here = before + prefix.before;
    before += prefix.all;
    __syncthreads();  // warp_sums are read
    const int32_t candidates = int32_t(here), rows = int32_t(here >> 32);
    if (makes_one) {
      positives.item[candidates] = item;
      positives.uses_before[candidates] = rows;
      positives.candidate_of_item[item] = candidates;
    }
    if (is_positive)
      positives.candidate_of_row[use / slots] = makes_one ? candidates : candidates - 1;
  }
  if (threadIdx.x > 0) return;
  positives.count[0] = int32_t(before);
  positives.uses_before[int32_t(before)] = int32_t(before >> 32);
}

// A warp a row: the candidates its user has, but for the row's positive. And a thread a candidate:
// how often it stands there.
__global__ __launch_bounds__(kThreads) void leave_out_own_items(Vectors users,
                                                                const int32_t* positive,
                                                                CsrView items_of_user,
                                                                Positives positives) {
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t b = thread / kWarpSize;
  const int lane = int(threadIdx.x) % kWarpSize;
  if (thread < positives.count[0])
    positives.times[thread] =
        float(positives.uses_before[thread + 1] - positives.uses_before[thread]);
  if (b >= users.there()) return;
  for (int64_t w = lane; w < positives.words; w += kWarpSize)
    positives.left_out[b * positives.words + w] = 0;
  __syncwarp();
  const int64_t end = items_of_user.row_start[users.id[b] + 1];
  for (int64_t e = items_of_user.row_start[users.id[b]] + lane; e < end; e += kWarpSize) {
    const int32_t candidate = positives.candidate_of_item[items_of_user.col[e]];
    if (candidate >= 0 && candidate != positive[b])
      atomicOr(&positives.word(b, candidate),
               Positives::Word{1} << candidate % Positives::kWordBits);
  }
}

// row[column .. column + 3] by Width floats; 0 from `columns` on, and where there is no row.
template <int Width>
__device__ __forceinline__ Quad load_quad(const float* row, int64_t column, int64_t columns) {
  Quad quad{};
  if (row == nullptr) return quad;
#pragma unroll
  for (int k = 0; k < kQuad; k += Width) {
    if (column + k >= columns) continue;
    const Floats<Width> x = load<Width>(row + column + k);
#pragma unroll
    for (int w = 0; w < Width; ++w) quad[k + w] = x[w];
  }
  return quad;
}

// Whose sums a block makes: rows of the batch walk the items and find their softmax on the way;
// items walk the rows, whose softmax is known.
enum class Owner { row, item };
// What stands against a positive: all items, or the batch's positives, so often and to such rows as
// Positives says.
enum class Against { all, batch };

// sum [shares, own, stride]: of one share of the others, weight(own, other) * vector. positive:
// of each row, its number among the items.
template <int Width, Owner Of, bool Narrow, Against Which>
__global__ __launch_bounds__(kThreads, blocks_at_once(Narrow)) void sum_weighted(
    Vectors own, Vectors other, Plan plan, const int32_t* positive, float factor,
    SoftmaxScratch scratch, Positives positives) {
  REC_SHARED_MEMORY(float, memory);
  const int chunks = Narrow ? 1 : int(ceil_div(plan.dim, kDepth));
  float* const other_panels = memory;                          // [2][kOther][kStride]
  float* const weights = other_panels + 2 * kOther * kStride;  // [kOwn][kWeightStride]
  // [kShareOwn][kThreads], of rows of the batch: registers are what this is short of.
  double* const other_weights = reinterpret_cast<double*>(weights + kOwn * kWeightStride);
  float* const own_panels =
      reinterpret_cast<float*>(other_weights + kShareOwn * kThreads);  // [1 or 2][kOwn][kStride]

  const int slab = int(blockIdx.x % plan.slabs);
  const int share = int(blockIdx.x / plan.slabs % plan.shares);
  const int first_own = int(blockIdx.x / plan.slabs / plan.shares * kOwn);
  const int begin = int(share * plan.other_of_share);
  const int end = int(min(begin + plan.other_of_share, int64_t{other.there()}));
  other.count = end;
  own.count = own.there();
  if (first_own >= own.count) return;
  const int thread = int(threadIdx.x), lane = thread % kWarpSize;
  const int across = lane % kAcross;
  const int first_row = thread / kWarpSize * (kOwn / kWarps) + lane / kAcross;
  const auto own_row = [=](int i) { return first_row + i * kDown; };  // in the block
  const auto column = [=](int j) { return across + j * kAcross; };    // among kOther
  const auto quad = [=](int side) { return side * (kDepth / 2) + across * kQuad; };

  // A thread loads a quad of every 16th row of a panel.
  constexpr int kRowsAtOnce = kThreads / (kDepth / kQuad);
  constexpr int kLoads = kOther / kRowsAtOnce;
  const int load_row = thread / (kDepth / kQuad), load_column = thread % (kDepth / kQuad) * kQuad;
  const auto other_quad = [&](int first, int chunk, int n) {
    return load_quad<Width>(other.row(first + load_row + n * kRowsAtOnce),
                            chunk * kDepth + load_column, plan.dim);
  };
  const auto put_other = [&](const Quad& x, int side, int n) {
    store(other_panels + (side * kOther + load_row + n * kRowsAtOnce) * kStride + load_column, x);
  };
  const auto each_load = [](auto f) {
#pragma unroll 1
    for (int n = 0; n < kLoads; ++n) f(n);
  };
  const auto put_own = [&](int chunk, int side) {
#pragma unroll 2
    for (int n = 0; n < kOwn / kRowsAtOnce; ++n)
      store(own_panels + (side * kOwn + load_row + n * kRowsAtOnce) * kStride + load_column,
            load_quad<Width>(own.row(first_own + load_row + n * kRowsAtOnce),
                             chunk * kDepth + load_column, plan.dim));
  };

  float sum[kShareOwn][kShareOther] = {};  // columns quad(0) .. + 3 and quad(1) .. + 3
  float score[kShareOwn][kShareOther];
  // Of a row of the batch: the largest score so far, the sum of this thread's weights.
  float largest[kShareOwn];
  const auto others = [=](int i) -> double& { return other_weights[i * kThreads + thread]; };
#pragma unroll
  for (float& of_row : largest) of_row = -INFINITY;
  if constexpr (Of == Owner::row) {
#pragma unroll
    for (int i = 0; i < kShareOwn; ++i) others(i) = 0.0;
  }

  // Score columns in chunks, then the slab's own chunk again where others came after it.
  const int stages = Narrow ? 1 : chunks + 1;
  const auto chunk_of = [=](int stage) { return stage < chunks ? stage : slab; };
  each_load([&](int n) { put_other(other_quad(begin, 0, n), 0, n); });
  put_own(0, 0);
  int side = 0, stage = 0;
  for (int first = begin; first < end;) {
    const bool last_stage = stage == stages - 1;
    const int next_first = last_stage ? first + kOther : first;
    const int next_stage = last_stage ? 0 : stage + 1;
    __syncthreads();  // this stage's panels are there, and nobody reads the other ones any more
    const float* const other_panel = other_panels + side * kOther * kStride;
    if (stage == 0) {
#pragma unroll
      for (auto& row : score)
#pragma unroll
        for (float& s : row) s = 0.0f;
    }
    const float* const own_panel = own_panels + (Narrow ? 0 : side) * kOwn * kStride;
    const int depth =
        min(int(plan.dim) - stage * kDepth, kDepth);  // none in the stage after chunks
#pragma unroll 1
    for (int d = 0; d < depth; d += kQuad) {
      Quad a[kShareOwn];
#pragma unroll
      for (int i = 0; i < kShareOwn; ++i) a[i] = load<kQuad>(own_panel + own_row(i) * kStride + d);
#pragma unroll
      for (int j = 0; j < kShareOther; ++j) {
        const Quad b = load<kQuad>(other_panel + column(j) * kStride + d);
#pragma unroll
        for (int q = 0; q < kQuad; ++q)
#pragma unroll
          for (int i = 0; i < kShareOwn; ++i) score[i][j] += a[i][q] * b[q];
      }
    }
    if (last_stage) {
      const int here = min(end - first, kOther);
      if constexpr (Of == Owner::row) {
#pragma unroll
        for (int i = 0; i < kShareOwn; ++i) {
          const int b = first_own + own_row(i);
          // Of column(j) in bit 8 j.
          Positives::Word left_out = 0;
          if (Which == Against::batch && b < own.count)
            left_out = positives.word(b, first) >> across;
          const auto is_in = [&](int j) {
            return column(j) < here && (left_out >> (j * kAcross) & 1) == 0;
          };
          float most = largest[i];
#pragma unroll
          for (int j = 0; j < kShareOther; ++j)
            if (is_in(j)) most = fmaxf(most, score[i][j]);
#pragma unroll
          for (int flip = 1; flip < kAcross; flip *= 2)
            most = fmaxf(most, __shfl_xor_sync(kFullWarp, most, flip));
          if (most != largest[i]) {
            const float shrink = exp_weight((largest[i] - most) * factor);
            others(i) *= shrink;
#pragma unroll
            for (float& s : sum[i]) s *= shrink;
            largest[i] = most;
          }
          const int own_positive = b < own.count ? positive[b] - first : -1;
          double sum_of_weights = others(i);
#pragma unroll
          for (int j = 0; j < kShareOther; ++j) {
            float weight = 0.0f;
            if (column(j) == own_positive) {
              if (slab == 0) scratch.positive_score[b] = score[i][j];
            } else if (is_in(j)) {
              weight = exp_weight((score[i][j] - most) * factor);
              if constexpr (Which == Against::batch) weight *= positives.times[first + column(j)];
            }
            sum_of_weights += weight;
            weights[own_row(i) * kWeightStride + column(j)] = weight;
          }
          others(i) = sum_of_weights;
        }
      } else {
#pragma unroll
        for (int j = 0; j < kShareOther; ++j) {
          const bool there = column(j) < here;
          const RowSoftmax row =
              there ? load_whole(&scratch.row[first + column(j)]) : RowSoftmax{0, 0, 0, -1};
          Positives::Word left_out = 0;  // own_row(i) in bit 4 i
          if (Which == Against::batch && there && first_own + first_row < own.count)
            left_out = positives.word(first + column(j), first_own + first_row) >>
                       first_row % Positives::kWordBits;
#pragma unroll
          for (int i = 0; i < kShareOwn; ++i) {
            float weight = exp_weight((score[i][j] - row.largest) * factor) * row.scale;
            if constexpr (Which == Against::batch) {
              if ((left_out >> (i * kDown) & 1) != 0)
                weight = 0.0f;
              else if (first_own + own_row(i) < own.count)
                weight *= positives.times[first_own + own_row(i)];
            }
            weights[own_row(i) * kWeightStride + column(j)] =
                row.positive == first_own + own_row(i) ? row.positive_grad : weight;
          }
        }
      }
      __syncwarp();  // a warp's weights are of its own vectors
    }
    // A quarter of the next panel (zeros after the last) is on its way while a quarter of this one is
    // added up.
    each_load([&](int n) {
      const Quad next = other_quad(next_first, chunk_of(next_stage), n);
      if (last_stage) {
#pragma unroll 1
        for (int j = n * (kOther / kLoads); j < (n + 1) * (kOther / kLoads); j += kQuad) {
          Quad w[kShareOwn];
#pragma unroll
          for (int i = 0; i < kShareOwn; ++i)
            w[i] = load<kQuad>(weights + own_row(i) * kWeightStride + j);
#pragma unroll
          for (int q = 0; q < kQuad; ++q)
#pragma unroll
            for (int part = 0; part < 2; ++part) {
              const Quad x = load<kQuad>(other_panel + (j + q) * kStride + quad(part));
#pragma unroll
              for (int i = 0; i < kShareOwn; ++i)
#pragma unroll
                for (int k = 0; k < kQuad; ++k) sum[i][part * kQuad + k] += w[i][q] * x[k];
            }
        }
      }
      put_other(next, 1 - side, n);
    });
    side = 1 - side;
    if constexpr (!Narrow) put_own(chunk_of(next_stage), side);
    first = next_first;
    stage = next_stage;
  }

#pragma unroll
  for (int i = 0; i < kShareOwn; ++i) {
    const int64_t place = share * plan.own + first_own + own_row(i);
    double all_others = 0.0;
    if constexpr (Of == Owner::row) {
      all_others = others(i);
#pragma unroll
      for (int flip = 1; flip < kAcross; flip *= 2)
        all_others += __shfl_xor_sync(kFullWarp, all_others, flip);
    }
    if (first_own + own_row(i) >= own.count) continue;
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int c = slab * kDepth + quad(part);
      if (c >= plan.stride) continue;
      Quad x;
#pragma unroll
      for (int k = 0; k < kQuad; ++k) x[k] = sum[i][part * kQuad + k];
      store(&scratch.sum[place * plan.stride + c], x);
    }
    if (Of == Owner::row && slab == 0 && across == 0) {
      scratch.largest[place] = largest[i];
      scratch.others[place] = all_others;
    }
  }
}

// A warp a row: its shares put together, in double, its loss, and what the items' walk needs. row_of:
// which of the batch each is; null: they are in order.
__global__ __launch_bounds__(kThreads) void finish_rows(
    Vectors users, Vectors items, const int32_t* positive, const int32_t* row_of, Plan plan,
    TemperatureScales scales, SoftmaxScratch scratch, MatrixView<float> user_row,
    VectorView<double> row_loss) {
  const int64_t b = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int lane = int(threadIdx.x) % kWarpSize;
  if (b >= users.there()) return;
  const int64_t row = row_of == nullptr ? b : row_of[b];
  float largest = -INFINITY;  // fmaxf passes over NaN, but the sum of its weights is NaN
  for (int64_t k = lane; k < plan.shares; k += kWarpSize)
    largest = fmaxf(largest, scratch.largest[k * plan.own + b]);
  largest = warp_max(largest);
  const auto shrink_of = [&](int64_t k) {
    return exp((double(scratch.largest[k * plan.own + b]) - double(largest)) * scales.inverse_tau);
  };
  double others = 0.0;
  for (int64_t k = lane; k < plan.shares; k += kWarpSize)
    others += shrink_of(k) * scratch.others[k * plan.own + b];
  others = warp_sum(others);

  const float score = scratch.positive_score[b];
  const double of_positive = exp_weight((score - largest) * float(scales.inverse_tau));
  const double scale = scales.gradient / (of_positive + others);
  for (int64_t c = lane; c < plan.dim; c += kWarpSize) {
    double sum = 0.0;
    for (int64_t k = 0; k < plan.shares; ++k)
      sum += shrink_of(k) * double(scratch.sum[(k * plan.own + b) * plan.stride + c]);
    user_row(row, c) = float((sum - others * double(items.row(positive[b])[c])) * scale);
  }
  if (lane > 0) return;
  store_whole(&scratch.row[b],
              RowSoftmax{largest, float(scale), float(-others * scale), positive[b]});
  // Where the positive is the largest, of_positive - 1 is exactly 0 and no digit is lost.
  row_loss[row] =
      (double(largest) - double(score)) * scales.inverse_tau + log1p(others + (of_positive - 1.0));
}

// grad = the shares' sums, added in order. A thread a value.
__global__ __launch_bounds__(kThreads) void add_shares(Plan plan, VectorView<const float> sum,
                                                       const int32_t* candidate_of_item,
                                                       MatrixView<float> grad) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= grad.rows * grad.cols) return;
  const int64_t i = at / grad.cols, c = at % grad.cols;
  const int64_t own = candidate_of_item == nullptr ? i : candidate_of_item[i];
  float total = 0.0f;
#pragma unroll 4
  for (int64_t k = 0; own >= 0 && k < plan.shares; ++k)
    total += sum[(k * plan.own + own) * plan.stride + c];
  grad(i, c) = total;
}

// Rows of the batch, and the items that stand against their positives.
struct Contest {
  Vectors users, items;
  const int32_t* positive;  // [rows], numbers of items
  const int32_t* row_of;    // [rows], in the batch; null: in order
};

struct Plans {
  Plan of_rows, of_items;

  Plans(int64_t rows, int64_t items, int64_t dim)
      : of_rows(plan_of(rows, items, dim)), of_items(plan_of(items, rows, dim)) {}
};

// Both walks: the rows' losses and own gradients, and the gradient of a domain's items.
template <Against Which>
void contrast(const Contest& contest, const Plans& plans, const TemperatureScales& scales,
              const SoftmaxScratch& own, const Positives& positives,
              const SoftmaxGradientView& grad, MatrixView<float> item_grad,
              const int32_t* candidate_of_item, Stream stream) {
  const Vectors &users = contest.users, &items = contest.items;
  const bool narrow = users.of.cols <= kDepth;
  const size_t shared = sizeof(float) * size_t(kStride * ((narrow ? 1 : 2) * kOwn + 2 * kOther) +
                                               kWeightStride * kOwn) +
                        sizeof(double) * kShareOwn * kThreads;
  with_width(vector_width({users.of, items.of}), [&]<int Width>() {
    const auto walk = [&]<Owner Of>(const Vectors& walking, const Vectors& walked,
                                    const Plan& plan) {
      launch(narrow ? sum_weighted<Width, Of, true, Which> : sum_weighted<Width, Of, false, Which>,
             plan.blocks(), kThreads, shared, stream, walking, walked, plan, contest.positive,
             float(scales.inverse_tau), own, positives);
    };
    walk.template operator()<Owner::row>(users, items, plans.of_rows);
    launch(finish_rows, unsigned(ceil_div(users.count, kWarps)), kThreads, 0, stream, users, items,
           contest.positive, contest.row_of, plans.of_rows, scales, own, grad.user_row,
           grad.row_loss);
    walk.template operator()<Owner::item>(items, users, plans.of_items);
  });
  launch(add_shares, unsigned(ceil_div(item_grad.rows * item_grad.cols, kThreads)), kThreads, 0,
         stream, plans.of_items, own.sum, candidate_of_item, item_grad);
}

// Makes the contest one of the rows of a domain.
void list_domain(const BatchView& batch, const DomainStart& start, const DomainStart& end,
                 const int32_t* positive, int64_t first_positive, const DomainRows& rows,
                 Contest& contest, Stream stream) {
  launch(list_rows, unsigned(std::max<int64_t>(ceil_div(batch.rows(), kThreads), 1)), kThreads, 0,
         stream, batch, start.user, end.user, positive, first_positive, rows);
  contest.users.id = rows.user.data;
  contest.users.fewer = rows.count.data;
  contest.positive = rows.positive.data;
  contest.row_of = rows.row.data;
}

constexpr char kScratchSentence[] = "softmax: scratch needs softmax_scratch_bytes, aligned to 256";

// The most that a domain takes: domains use the same memory one after another.
// bytes_of: items -> bytes
template <class F>
int64_t most_bytes(int64_t items, VectorView<const DomainStart> domains, F bytes_of) {
  int64_t most = 0;
  for_each_domain(domains, 0, items, [&](const DomainStart& start, const DomainStart& end) {
    most = std::max<int64_t>(most, bytes_of(end.item - start.item));
  });
  return most;
}

}  // namespace

int64_t softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim,
                              VectorView<const DomainStart> domains) {
  return most_bytes(items, domains, [&](int64_t of_domain) {
    Carver carver(nullptr);
    DomainRows(carver, batch);
    const Plans plans(batch, of_domain, dim);
    SoftmaxScratch(carver, plans.of_rows, plans.of_items);
    return carver.bytes();
  });
}

int64_t in_batch_softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim,
                                       VectorView<const DomainStart> domains) {
  return most_bytes(items, domains, [&](int64_t of_domain) {
    const int64_t candidates = std::min(batch, of_domain);
    Carver carver(nullptr);
    DomainRows(carver, batch);
    const Plans plans(batch, candidates, dim);
    SoftmaxScratch(carver, plans.of_rows, plans.of_items);
    Positives(carver, batch, items, candidates);
    return carver.bytes();
  });
}

void softmax(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             VectorView<const DomainStart> domains, float tau, const SoftmaxGradientView& grad,
             double* loss_sum, VectorView<std::byte> scratch, Stream stream) {
  require_softmax(user, item, batch, domains, tau, grad);
  const int64_t rows = batch.rows(), dim = item.cols;
  require_scratch(scratch, softmax_scratch_bytes(rows, item.rows, dim, domains), kScratchSentence);
  const TemperatureScales scales = temperature_scales(tau, rows);
  for_each_domain(
      domains, user.rows, item.rows, [&](const DomainStart& start, const DomainStart& end) {
        const int64_t items = end.item - start.item;
        Carver carver(scratch.data);
        const DomainRows listed(carver, rows);
        const Plans plans(rows, items, dim);
        const SoftmaxScratch own(carver, plans.of_rows, plans.of_items);
        Contest contest{{user, batch.user.data, int(rows)},
                        {item.rows_from(start.item, items), nullptr, int(items)},
                        batch.positive.data,
                        nullptr};
        if (are_several(domains))
          list_domain(batch, start, end, batch.positive.data, start.item, listed, contest, stream);
        Carver none(nullptr);
        contrast<Against::all>(contest, plans, scales, own, Positives(none, 0, 0, 0), grad,
                               grad.item.rows_from(start.item, items), nullptr, stream);
      });
  if (rows > 0) add_mean_loss(grad.row_loss, loss_sum, stream);
}

void in_batch_softmax(MatrixView<const float> user, MatrixView<const float> item,
                      const BatchView& batch, CsrView items_of_user,
                      VectorView<const DomainStart> domains, float tau,
                      const SoftmaxGradientView& grad, double* loss_sum,
                      VectorView<std::byte> scratch, Stream stream) {
  require_in_batch_softmax(user, item, batch, items_of_user, domains, tau, grad);
  const int64_t rows = batch.rows(), dim = item.cols;
  require_scratch(scratch, in_batch_softmax_scratch_bytes(rows, item.rows, dim, domains),
                  kScratchSentence);
  const TemperatureScales scales = temperature_scales(tau, rows);
  for_each_domain(
      domains, user.rows, item.rows, [&](const DomainStart& start, const DomainStart& end) {
        const int64_t items = end.item - start.item, candidates = std::min(rows, items);
        Carver carver(scratch.data);
        const DomainRows listed(carver, rows);
        const Plans plans(rows, candidates, dim);
        const SoftmaxScratch own(carver, plans.of_rows, plans.of_items);
        const Positives positives(carver, rows, item.rows, candidates);
        const VectorView<int32_t> candidate_of_item(positives.candidate_of_item.data + start.item,
                                                    items);
        launch(clear_candidates, unsigned(ceil_div(items, kThreads)), kThreads, 0, stream,
               candidate_of_item);
        launch(find_candidates, 1, kFindThreads, 0, stream, batch, start.item, end.item, positives);
        Contest contest{{user, batch.user.data, int(rows)},
                        {item, positives.item.data, int(candidates), positives.count.data},
                        positives.candidate_of_row.data,
                        nullptr};
        if (are_several(domains))
          list_domain(batch, start, end, positives.candidate_of_row.data, 0, listed, contest,
                      stream);
        launch(leave_out_own_items, unsigned(ceil_div(rows, kWarps)), kThreads, 0, stream,
               contest.users, contest.positive, items_of_user, positives);
        contrast<Against::batch>(contest, plans, scales, own, positives, grad,
                                 grad.item.rows_from(start.item, items), candidate_of_item.data,
                                 stream);
      });
  if (rows > 0) add_mean_loss(grad.row_loss, loss_sum, stream);
}

}  // namespace rec::cuda
