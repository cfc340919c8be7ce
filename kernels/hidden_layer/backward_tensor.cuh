// The backward pass of hidden_layer by tensor cores.
#pragma once
#include "kernels/common/warp_product.cuh"
#include "kernels/hidden_layer/backward.cuh"

namespace rec::cuda {

// The tiles of one block. "Down": words of values below one another, which is how the depth of both
// products runs through them but for grad_y in grad_y W, whose words run along its outputs; so
// grad_y is there twice. A row of a tile begins 8 words (of grad_across 4) after a multiple of 32
// banks, so that the 4 x 8 words of an operand lie in different ones.
template <class Operands>
struct TensorBackward {
  static constexpr int kPacked = Operands::kPacked;
  static constexpr int kThreads = 256;
  static constexpr int kPanelWords = 32;
  static constexpr int kPanelRows = kPanelWords * kPacked;  // rows of act in shared memory at once
  static constexpr int kWeightWords = kOutputs / kPacked;
  // 12 slabs of 1536 columns x 22 are two blocks for each of an H100's 132 multiprocessors.
  static constexpr int64_t kMostGroups = 22;

  static constexpr int kAcross = 4;  // warps side by side over the columns, 2 over rows or outputs
  using PreSums = WarpSums<kPanelRows / 32, kColumns / kAcross / 8>;
  using WeightSums = WarpSums<kOutputs / 32, kColumns / kAcross / 8>;

  alignas(16) uint32_t weight[kWeightWords][kColumns + 8];  // down
  alignas(16) uint32_t act[kPanelWords][kColumns + 8];      // down; then grad_pre
  alignas(16) uint32_t grad_down[kPanelWords][kOutputs + 8];
  alignas(16) uint32_t grad_across[kPanelRows][kWeightWords + 4];
};

// Whether a panel's grad_y is asked for while the one before is multiplied, as its act is: where
// registers are left, and not wanted for the grad_y of other outputs.
constexpr bool grad_ahead(Back what, size_t bytes_down) {
  if (compiled_for_less_than(90) && bytes_down > sizeof(float)) return false;
  return what != Back::all_of_many_outputs;
}
// On a multiprocessor, by registers: 128 do, but for rows that are read value by value.
constexpr int tensor_blocks_at_once(Back what, int width) {
  return what == Back::all_of_many_outputs && width < kQuad ? 1 : 2;
}

// Block (x = group * slabs + slab): the group's rows, kColumns columns of act. Each panel of act is
// read once, for the sign of pre in grad_pre and for its part of grad_W.
//
// first_output: the outputs whose grad_W is made.
template <class Operands, class Y, int Width, Back What>
__global__ __launch_bounds__(
    TensorBackward<Operands>::kThreads,
    tensor_blocks_at_once(
        What,
        Width)) void multiply_back_by_warps(MatrixView<typename Operands::Stored> act,
                                            MatrixView<const typename Operands::Stored> weight,
                                            MatrixView<const Y> grad_y, int64_t first_output,
                                            int64_t slabs, int64_t group_rows,
                                            float* group_weight) {
  using Tiles = TensorBackward<Operands>;
  using Stored = typename Operands::Stored;
  constexpr int kPacked = Operands::kPacked;
  REC_SHARED_MEMORY(Tiles, tiles);
  const int64_t group = blockIdx.x / slabs, first_column = blockIdx.x % slabs * kColumns;
  const int64_t begin = group * group_rows, end = min(begin + group_rows, act.rows);
  const int64_t outputs = weight.rows;
  const int warp = threadIdx.x / kWarpSize;
  const int warp_down = warp / Tiles::kAcross, warp_across = warp % Tiles::kAcross;

  // Where this thread's n-th quad of words of a tile with so many columns lies.
  const auto tile_row = [](int n, int columns) {
    return int(threadIdx.x + n * Tiles::kThreads) / (columns / kQuad);
  };
  const auto tile_column = [](int columns) { return int(threadIdx.x) % (columns / kQuad) * kQuad; };
  static_assert(Tiles::kThreads % (kColumns / kQuad) == 0);
  static_assert(Tiles::kThreads % (kOutputs / kQuad) == 0);

  const auto put_weight = [&](int64_t from_output) {
    const Window<const Stored> window(weight, from_output, outputs, first_column);
    const int c = tile_column(kColumns);
#pragma unroll 1
    for (int n = 0; n < Tiles::kWeightWords * kColumns / kQuad / Tiles::kThreads; ++n) {
      const int r = tile_row(n, kColumns);
      Quad rows[kPacked];
#pragma unroll
      for (int p = 0; p < kPacked; ++p)
        rows[p] = unpack(load_quad<Width>(window, r * kPacked + p, c));
      *reinterpret_cast<FourWords*>(&tiles->weight[r][c]) = Operands::down(rows);
    }
  };

  constexpr int kActQuads = Tiles::kPanelWords * kColumns / kQuad / Tiles::kThreads;
  constexpr int kGradQuads = Tiles::kPanelWords * kOutputs / kQuad / Tiles::kThreads;
  StoredQuad<Stored> act_next[kActQuads][kPacked];
  StoredQuad<Y> grad_next[kGradQuads][kPacked];
  const auto load_act = [&](int64_t row) {
    const Window<const Stored> window(act, row, end, first_column);
#pragma unroll
    for (int n = 0; n < kActQuads; ++n)
#pragma unroll
      for (int p = 0; p < kPacked; ++p)
        act_next[n][p] =
            load_quad<Width>(window, tile_row(n, kColumns) * kPacked + p, tile_column(kColumns));
  };
  const auto load_grad = [&](int64_t row, int64_t from_output) {
    const Window<const Y> window(grad_y, row, end, from_output);
#pragma unroll
    for (int n = 0; n < kGradQuads; ++n)
#pragma unroll
      for (int p = 0; p < kPacked; ++p)
        grad_next[n][p] =
            load_quad<Width>(window, tile_row(n, kOutputs) * kPacked + p, tile_column(kOutputs));
  };
  const auto put_act = [&] {
#pragma unroll
    for (int n = 0; n < kActQuads; ++n) {
      Quad rows[kPacked];
#pragma unroll
      for (int p = 0; p < kPacked; ++p) rows[p] = unpack(act_next[n][p]);
      *reinterpret_cast<FourWords*>(&tiles->act[tile_row(n, kColumns)][tile_column(kColumns)]) =
          Operands::down(rows);
    }
  };
  const auto put_grad = [&] {
    const int c = tile_column(kOutputs);
#pragma unroll
    for (int n = 0; n < kGradQuads; ++n) {
      const int r = tile_row(n, kOutputs);
      Quad rows[kPacked];
#pragma unroll
      for (int p = 0; p < kPacked; ++p) {
        rows[p] = unpack(grad_next[n][p]);
        const auto words = Operands::across(rows[p]);
        *reinterpret_cast<std::remove_const_t<decltype(words)>*>(
            &tiles->grad_across[r * kPacked + p][c / kPacked]) = words;
      }
      *reinterpret_cast<FourWords*>(&tiles->grad_down[r][c]) = Operands::down(rows);
    }
  };

  // grad_y W of the tiles in shared memory
  const int pre_row = warp_down * Tiles::PreSums::kRows;
  const int column = warp_across * Tiles::PreSums::kColumns;
  const auto add_input = [&](typename Tiles::PreSums& sums) {
    multiply_words<Operands, Tiles::kWeightWords>(
        sums, [&](int r, int word) { return tiles->grad_across[pre_row + r][word]; },
        [&](int word, int c) { return tiles->weight[word][column + c]; });
  };
  // The place of act's value in its tile, where its part of grad_pre takes its place.
  const auto in_tile = [&](int r, int c) {
    return reinterpret_cast<Stored*>(&tiles->act[r / kPacked][c]) + r % kPacked;
  };
  const auto put_input = [&](const typename Tiles::PreSums& sums) {
    for_each_value(sums, [&](int r, int c, float sum) {
      Stored* const place = in_tile(pre_row + r, column + c);
      store(place, Floats<1>{load<1>(place)[0] > 0.0f ? sum : kLeakySlope * sum});
    });
  };
  const auto write_input = [&](int64_t row) {
    const Window<Stored> window(act, row, end, first_column);
    const int c = tile_column(kColumns);
#pragma unroll
    for (int n = 0; n < kActQuads; ++n)
#pragma unroll
      for (int p = 0; p < kPacked; ++p) {
        const int r = tile_row(n, kColumns) * kPacked + p;
        Quad x;
#pragma unroll
        for (int k = 0; k < kQuad; ++k) x[k] = load<1>(in_tile(r, c + k))[0];
        store_quad<Width>(window, r, c, x);
      }
  };

  // grad_W's part
  typename Tiles::WeightSums weight_sums;
  const int output = warp_down * Tiles::WeightSums::kRows;
  const auto add_weight = [&] {
    multiply_words<Operands, Tiles::kPanelWords>(
        weight_sums, [&](int o, int word) { return tiles->grad_down[word][output + o]; },
        [&](int word, int c) { return tiles->act[word][column + c]; });
  };

  // While one panel is multiplied the next is on its way to registers.
  constexpr bool kGradAhead = grad_ahead(What, sizeof(Y) * kPacked);
  const auto load_panel = [&](int64_t row) {
    if (row >= end) return;  // loads that find no row are as good, but take more registers
    load_act(row);
    if constexpr (kGradAhead) load_grad(row, first_output);
  };
  if constexpr (What == Back::all) put_weight(0);
  load_panel(begin);
  for (int64_t row = begin; row < end; row += Tiles::kPanelRows) {
    put_act();
    if constexpr (!kGradAhead) load_grad(row, first_output);
    put_grad();
    __syncthreads();  // the panel is there
    load_panel(row + Tiles::kPanelRows);
    add_weight();
    if constexpr (What != Back::weight_alone) {
      typename Tiles::PreSums sums;
      for (int64_t from = 0; from < outputs; from += kOutputs) {
        if constexpr (What == Back::all_of_many_outputs) {
          __syncthreads();  // nobody reads the tiles before
          put_weight(from);
          load_grad(row, from);
          put_grad();
          __syncthreads();  // these are there
        }
        add_input(sums);
      }
      __syncthreads();  // nobody multiplies the panel any more
      put_input(sums);
    }
    __syncthreads();  // grad_pre is there, or nobody reads the panel any more
    if constexpr (What != Back::weight_alone) write_input(row);
  }

  const Window<float> window(
      MatrixView<float>(group_weight + group * outputs * act.cols, outputs, act.cols), first_output,
      outputs, first_column);
  for_each_value(weight_sums, [&](int o, int c, float sum) {
    if (output + o < window.rows && column + c < window.cols)
      window.data[(output + o) * window.stride + column + c] = sum;
  });
}

}  // namespace rec::cuda
