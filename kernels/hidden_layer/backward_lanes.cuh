// The backward pass of hidden_layer by fused multiply-adds in float32.
#pragma once
#include "kernels/hidden_layer/backward.cuh"

namespace rec::cuda {

constexpr int kPanelRows = 32;  // rows of act in shared memory at once
constexpr int kBackwardThreads = kOutputs * kColumns / (kShare * kShare);
constexpr int kQuadsAcross = kColumns / kShare;  // threads side by side over the columns
constexpr int kGroupsDown = kBackwardThreads / kQuadsAcross;  // and over rows or outputs
constexpr int kRowShare = kPanelRows / kGroupsDown;           // rows of grad_pre a thread makes
constexpr int64_t kMostGroups = 32;

// On a multiprocessor, by shared memory (57 KB each; before compute capability 9.0 there is room for
// two) and registers.
constexpr int blocks_at_once(Back what, int width) {
  if (compiled_for_less_than(90)) return 2;
  return what == Back::all_of_many_outputs || width < kQuad ? 2 : 3;
}

struct BackwardTiles {
  float weight[kOutputs][kColumns];
  float act[kPanelRows][kColumns];
  float grad_y[kPanelRows][kOutputs + kQuad];
};

// Block (x = group * slabs + slab): the group's rows, kColumns columns of act. Each panel of act is
// read once, for the sign of pre in grad_pre and for its part of grad_W.
//
// first_output: the outputs whose grad_W is made. With grad_pre these must be the last of all,
// whose grad_y is left in shared memory.
template <int Width, Back What>
__global__ __launch_bounds__(
    kBackwardThreads,
    blocks_at_once(What, Width)) void multiply_back_by_lanes(MatrixView<float> act,
                                                             MatrixView<const float> weight,
                                                             MatrixView<const float> grad_y,
                                                             int64_t first_output, int64_t slabs,
                                                             int64_t group_rows,
                                                             float* group_weight) {
  REC_SHARED_MEMORY(BackwardTiles, tiles);
  const int thread = threadIdx.x;
  const int across = thread % kQuadsAcross, down = thread / kQuadsAcross;
  const int64_t group = blockIdx.x / slabs, first_column = blockIdx.x % slabs * kColumns;
  const int64_t begin = group * group_rows, end = min(begin + group_rows, act.rows);
  const int64_t outputs = weight.rows;

  // Where this thread's n-th quad of a tile with so many columns lies.
  const auto tile_row = [&](int n, int columns) {
    return (thread + n * kBackwardThreads) / (columns / kQuad);
  };
  const auto tile_column = [&](int columns) { return thread % (columns / kQuad) * kQuad; };
  static_assert(kBackwardThreads % (kColumns / kQuad) == 0);
  static_assert(kBackwardThreads % (kOutputs / kQuad) == 0);

  const auto put_weight = [&](int64_t from_output) {
    const Window<const float> window(weight, from_output, outputs, first_column);
    const int c = tile_column(kColumns);
#pragma unroll 4
    for (int n = 0; n < kOutputs * kColumns / kQuad / kBackwardThreads; ++n)
      store(&tiles->weight[tile_row(n, kColumns)][c],
            load_quad<Width>(window, tile_row(n, kColumns), c));
  };
  Quad act_next[kPanelRows * kColumns / kQuad / kBackwardThreads];
  constexpr int kActLoads = sizeof act_next / sizeof(Quad);
  constexpr int kGradLoads = kPanelRows * kOutputs / kQuad / kBackwardThreads;
  const auto load_act = [&](int64_t row) {
    const Window<const float> window(act, row, end, first_column);
#pragma unroll
    for (int n = 0; n < kActLoads; ++n)
      act_next[n] = load_quad<Width>(window, tile_row(n, kColumns), tile_column(kColumns));
  };
  const auto put_act = [&] {
#pragma unroll
    for (int n = 0; n < kActLoads; ++n)
      store(&tiles->act[tile_row(n, kColumns)][tile_column(kColumns)], act_next[n]);
  };
  const auto put_grad = [&](int64_t row, int64_t from_output) {
    const Window<const float> window(grad_y, row, end, from_output);
#pragma unroll
    for (int n = 0; n < kGradLoads; ++n)
      store(&tiles->grad_y[tile_row(n, kOutputs)][tile_column(kOutputs)],
            load_quad<Width>(window, tile_row(n, kOutputs), tile_column(kOutputs)));
  };
  // This thread's columns: two quads, half a slab apart, so that neighbours read neighbours.
  const auto quad = [&](int side) { return side * (kColumns / 2) + across * kQuad; };

  // grad_y W of the tiles in shared memory, for rows down, down + kGroupsDown, ...
  const auto add_input = [&](float(&sum)[kRowShare][kShare]) {
#pragma unroll 1
    for (int o = 0; o < kOutputs; o += kQuad) {
      Quad g[kRowShare];
#pragma unroll
      for (int i = 0; i < kRowShare; ++i)
        g[i] = load<kQuad>(&tiles->grad_y[down + i * kGroupsDown][o]);
#pragma unroll
      for (int q = 0; q < kQuad; ++q)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
          const Quad w = load<kQuad>(&tiles->weight[o + q][quad(side)]);
#pragma unroll
          for (int i = 0; i < kRowShare; ++i)
#pragma unroll
            for (int k = 0; k < kQuad; ++k) sum[i][side * kQuad + k] += g[i][q] * w[k];
        }
    }
  };
  const auto put_input = [&](int64_t row, const float(&sum)[kRowShare][kShare]) {
    const Window<float> window(act, row, end, first_column);
#pragma unroll
    for (int i = 0; i < kRowShare; ++i)
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int r = down + i * kGroupsDown;
        Quad x = load<kQuad>(&tiles->act[r][quad(side)]);
#pragma unroll
        for (int k = 0; k < kQuad; ++k) {
          const float s = sum[i][side * kQuad + k];
          x[k] = x[k] > 0.0f ? s : kLeakySlope * s;
        }
        store_quad<Width>(window, r, quad(side), x);
      }
  };

  // grad_W's part: two quads of outputs, two of columns.
  float weight_sum[kShare][kShare] = {};
  const auto output_quad = [&](int side) { return side * (kOutputs / 2) + down * kQuad; };
  const auto add_weight = [&] {
#pragma unroll 2
    for (int r = 0; r < kPanelRows; ++r) {
      Quad g[2], a[2];
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        g[side] = load<kQuad>(&tiles->grad_y[r][output_quad(side)]);
        a[side] = load<kQuad>(&tiles->act[r][quad(side)]);
      }
#pragma unroll
      for (int i = 0; i < kShare; ++i)
#pragma unroll
        for (int j = 0; j < kShare; ++j)
          weight_sum[i][j] += g[i / kQuad][i % kQuad] * a[j / kQuad][j % kQuad];
    }
  };

  if constexpr (What == Back::all) put_weight(0);
  load_act(begin);
  for (int64_t row = begin; row < end; row += kPanelRows) {
    put_act();
    put_grad(row, first_output);
    __syncthreads();  // the panel is there
    if constexpr (What != Back::weight_alone) {
      float sum[kRowShare][kShare] = {};
      for (int64_t output = 0; output < outputs; output += kOutputs) {
        if constexpr (What == Back::all_of_many_outputs) {
          __syncthreads();  // nobody reads the tiles before
          put_weight(output);
          put_grad(row, output);
          __syncthreads();  // these are there
        }
        add_input(sum);
      }
      put_input(row, sum);
    }
    load_act(row + kPanelRows);
    add_weight();
    __syncthreads();  // nobody reads the panel any more
  }

  const Window<float> window(
      MatrixView<float>(group_weight + group * outputs * act.cols, outputs, act.cols), first_output,
      outputs, first_column);
#pragma unroll
  for (int i = 0; i < kShare; ++i)
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      Quad x;
#pragma unroll
      for (int k = 0; k < kQuad; ++k) x[k] = weight_sum[i][side * kQuad + k];
      store_quad<Width>(window, output_quad(i / kQuad) + i % kQuad, quad(side), x);
    }
}

}  // namespace rec::cuda
