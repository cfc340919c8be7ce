// What every objective with sampled negatives does around its own formula, as
// sampled_objective_cpu.h does on the CPU: a block a batch row. Its warps score the row's items and
// keep the item rows in registers, the objective turns the scores into derivatives, and the user's
// own gradient is summed from the rows still held. So an item row is read once; only what does not
// fit is read again.
#pragma once
#include <algorithm>

#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/batch_gradient/loss_sum_cuda.cuh"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/row_tile.cuh"
#include "kernels/sampler/sampler.h"

namespace rec::cuda {

inline constexpr int kMostObjectiveWarps = 8;
inline constexpr int kMostObjectiveThreads = kMostObjectiveWarps * kWarpSize;
// Up to here a row's scores lie in shared memory (32 KB), else in the derivatives' own place.
inline constexpr int kMostSharedScores = 8192;

// Blocks to a multiprocessor: rows that are held take half of its registers.
constexpr int objective_blocks_at_once(bool holds) {
  return holds || compiled_for_less_than(90) ? 2 : 3;
}

// RowObjective, a value copied to the device:
//   kHeldTiles                  how many tiles of item rows a warp keeps
//   Terms operator()(float* score, int count) const
//       score [count], s_bj on entry, d loss / d s_bj on return. All threads of the block call; it
//       may wait for them. Begins after a barrier, and one follows. Every thread gets the terms.
//   double loss(Terms) const    the row's loss; one thread calls
template <class Tile, bool Holds, class RowObjective>
__global__ __launch_bounds__(
    kMostObjectiveThreads,
    objective_blocks_at_once(Holds)) void score_rows(MatrixView<const float> user,
                                                     MatrixView<const float> item, BatchView batch,
                                                     BatchGradientView grad,
                                                     RowObjective objective) {
  constexpr int kWidth = Tile::kWidth;
  constexpr int kHeld = Holds ? RowObjective::kHeldTiles : 0;
  REC_SHARED_MEMORY(float, shared_score);
  REC_SHARED_ARRAY(float, share, [kMostObjectiveWarps][Tile::kColumns]);
  const int warps = int(blockDim.x) / kWarpSize, warp = int(threadIdx.x) / kWarpSize;
  const int64_t b = blockIdx.x;
  const int count = int(1 + batch.negatives()), dim = int(user.cols);
  const float* const user_of_row = user.row(batch.user[b]);
  const int32_t* const negative = batch.negative.row(b);
  float* const score = count <= kMostSharedScores ? shared_score : grad.score.row(b);

  // The tiles go round the warps. Tile t of this warp: its first candidate, the lane's candidate.
  const auto first_of = [=](int t) { return (t * warps + warp) * Tile::kRows; };
  const auto candidate_of = [=](int t) { return first_of(t) + Tile::row(); };
  const auto id_of = [&](int j) { return j == 0 ? batch.positive[b] : negative[j - 1]; };
  // All lanes call.
  const auto put_score = [=](int t, float sum) {
    const float s = Tile::sum_along_row(sum);
    const int j = candidate_of(t);
    if (Tile::column() == 0 && j < count) score[j] = s;
  };

  Floats<kWidth> held[kHeld > 0 ? kHeld : 1];
  if constexpr (Holds) {
    const int column = Tile::column();
    const bool in_row = column < dim;
    int32_t id[kHeld];
#pragma unroll
    for (int t = 0; t < kHeld; ++t)
      id[t] = in_row && candidate_of(t) < count ? id_of(candidate_of(t)) : -1;
#pragma unroll
    for (int t = 0; t < kHeld; ++t)
      held[t] = id[t] >= 0 ? load<kWidth>(item.row(id[t]) + column) : Floats<kWidth>{};
    const Floats<kWidth> u = in_row ? load<kWidth>(user_of_row + column) : Floats<kWidth>{};
    const auto lane_sum = [&](int t) {
      float sum = 0.0f;
#pragma unroll
      for (int w = 0; w < kWidth; ++w) sum += u[w] * held[t][w];
      return sum;
    };
    constexpr int kTogether = Tile::kLanes < 16 ? Tile::kLanes : 16;
#pragma unroll
    for (int first = 0; first + kTogether <= kHeld; first += kTogether) {
      if (first_of(first) >= count) continue;
      float sum[kTogether];
#pragma unroll
      for (int k = 0; k < kTogether; ++k) sum[k] = lane_sum(first + k);
      const float s = Tile::sums_along_row(sum);
      const int j = candidate_of(first + Tile::template sum_of_lane<kTogether>());
      if (Tile::lane() % (Tile::kLanes / kTogether) == 0 && j < count) score[j] = s;
    }
#pragma unroll
    for (int t = kHeld / kTogether * kTogether; t < kHeld; ++t)
      if (first_of(t) < count) put_score(t, lane_sum(t));
  }
  constexpr int kAtOnce = Holds ? 1 : 4;  // tiles, of those that are not held
  for (int t = kHeld; first_of(t) < count; t += kAtOnce) {
    const float* row[kAtOnce];
    float sum[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      // Past the last candidate: some row of items, for a sum that is not put anywhere.
      row[k] = item.row(id_of(min(candidate_of(t + k), count - 1)));
      sum[k] = 0.0f;
    }
    for (int c = Tile::column(); c < dim; c += Tile::kColumns) {
      const Floats<kWidth> u = load<kWidth>(user_of_row + c);
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) {
        const Floats<kWidth> x = load<kWidth>(row[k] + c);
#pragma unroll
        for (int w = 0; w < kWidth; ++w) sum[k] += u[w] * x[w];
      }
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) put_score(t + k, sum[k]);
  }

  __syncthreads();
  const auto terms = objective(score, count);
  __syncthreads();
  if (score == shared_score)
    for (int j = int(threadIdx.x); j < count; j += int(blockDim.x)) grad.score(b, j) = score[j];

  for (int stretch = 0; stretch < dim; stretch += Tile::kColumns) {
    const int column = stretch + Tile::column();
    Floats<kWidth> sum{};
    if constexpr (Holds) {  // a single stretch
#pragma unroll
      for (int t = 0; t < kHeld; ++t) {
        if (candidate_of(t) >= count) continue;
        const float weight = score[candidate_of(t)];
#pragma unroll
        for (int w = 0; w < kWidth; ++w) sum[w] += weight * held[t][w];
      }
    }
    if (column < dim) {
#pragma unroll kAtOnce
      for (int t = kHeld; candidate_of(t) < count; ++t) {
        const float weight = score[candidate_of(t)];
        const Floats<kWidth> x = load<kWidth>(item.row(id_of(candidate_of(t))) + column);
#pragma unroll
        for (int w = 0; w < kWidth; ++w) sum[w] += weight * x[w];
      }
    }
    sum = Tile::sum_over_rows(sum);
    if (stretch > 0) __syncthreads();  // the last stretch's shares have been read
    if (Tile::row() == 0) store(share[warp] + Tile::column(), sum);
    __syncthreads();
    const int columns = min(Tile::kColumns, dim - stretch);
    for (int c = int(threadIdx.x); c < columns; c += int(blockDim.x)) {
      float total = share[0][c];
      for (int other = 1; other < warps; ++other) total += share[other][c];
      grad.user_row(b, stretch + c) = total;
    }
  }
  // By the last warp, which has no column left to sum where rows are narrow.
  if (threadIdx.x == blockDim.x - 1) grad.row_loss[b] = objective.loss(terms);
}

// grad overwritten; the mean of the rows' losses is added to *loss_sum, nothing without rows.
template <class RowObjective>
void sampled_objective(MatrixView<const float> user, MatrixView<const float> item,
                       const BatchView& batch, const BatchGradientView& grad,
                       RowObjective objective, double* loss_sum, Stream stream) {
  require_objective_shapes(user, item, batch, grad);
  if (batch.rows() == 0) return;
  const int64_t count = 1 + batch.negatives();
  with_row_tile(user.cols, {user, item}, [&]<class Tile>() {
    const int64_t tiles = ceil_div(count, int64_t{Tile::kRows});
    const int64_t warps =
        std::min(ceil_div(tiles, int64_t{RowObjective::kHeldTiles}), int64_t{kMostObjectiveWarps});
    const size_t shared = sizeof(float) * size_t(std::min(count, int64_t{kMostSharedScores}));
    auto* kernel = score_rows<Tile, true, RowObjective>;
    if constexpr (Tile::kLanes == kWarpSize)
      if (user.cols > Tile::kColumns) kernel = score_rows<Tile, false, RowObjective>;
    launch(kernel, unsigned(batch.rows()), unsigned(warps * kWarpSize), shared, stream, user, item,
           batch, grad, objective);
  });
  add_mean_loss(grad.row_loss, loss_sum, stream);
}

}  // namespace rec::cuda
