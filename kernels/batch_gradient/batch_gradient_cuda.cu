#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/row_tile.cuh"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kUsesAtOnce = 128;  // whose scores and users a warp fetches before it adds rows
constexpr int kRowsAtOnce = 8;    // of user rows, that a lane has asked for
constexpr int kLongList = 256;    // longer lists are shared by the warps of a block

struct alignas(8) Use {
  int32_t user;
  float weight;
};

// What the uses of items lead to.
struct Uses {
  CsrView of_item;
  const int32_t* batch_user;
  const float* score;
  uint32_t slots;
};

// The sum over count uses of score * user row, for the lane's columns, in an order that depends on
// count alone. fetched [kUsesAtOnce], the warp's own shared memory. All lanes of the warp call.
template <class Tile>
__device__ Floats<Tile::kWidth> sum_of_uses(const Uses& from, const int32_t* use, int64_t count,
                                            MatrixView<const float> user, int64_t column,
                                            Use* fetched) {
  constexpr int kOfLane = kUsesAtOnce / kWarpSize;
  const int lane = int(threadIdx.x) % kWarpSize;
  Floats<Tile::kWidth> sum{};
  for (int64_t first = 0; first < count; first += kUsesAtOnce) {
    const int here = int(min(count - first, int64_t{kUsesAtOnce}));
    int32_t mine[kOfLane];
#pragma unroll
    for (int k = 0; k < kOfLane; ++k) {
      const int e = k * kWarpSize + lane;
      mine[k] = e < here ? use[first + e] : 0;
    }
#pragma unroll
    for (int k = 0; k < kOfLane; ++k) {
      const int e = k * kWarpSize + lane;
      if (e < here)
        fetched[e] = {from.batch_user[uint32_t(mine[k]) / from.slots], from.score[mine[k]]};
    }
    __syncwarp();
    for (int e = Tile::row(); e < here; e += kRowsAtOnce * Tile::kRows) {
      float weight[kRowsAtOnce];
      Floats<Tile::kWidth> x[kRowsAtOnce];
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        const bool there = e + k * Tile::kRows < here && column < user.cols;
        const Use one = there ? fetched[e + k * Tile::kRows] : Use{};
        weight[k] = one.weight;
        x[k] = there ? load<Tile::kWidth>(user.row(one.user) + column) : Floats<Tile::kWidth>{};
      }
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k)
#pragma unroll
        for (int w = 0; w < Tile::kWidth; ++w) sum[w] += weight[k] * x[k][w];
    }
    __syncwarp();
  }
  return Tile::sum_over_rows(sum);
}

// A warp an item, items_per_block to a block; then the block's long lists one after another, each
// cut into kWarps shares that are added in order. Three blocks to a multiprocessor: 80 registers, which
// code for compute capability 8.0 does not manage with.
template <class Tile>
__global__ __launch_bounds__(kThreads, compiled_for_less_than(90) ? 2 : 3) void sum_items(
    int items_per_block, Uses from, MatrixView<const float> user, MatrixView<float> grad_item) {
  REC_SHARED_ARRAY(Use, fetched, [kWarps][kUsesAtOnce]);
  REC_SHARED_ARRAY(float, share, [kWarps][Tile::kColumns]);
  const int warp = int(threadIdx.x) / kWarpSize;
  const int64_t first = int64_t{blockIdx.x} * items_per_block;
  const int64_t last = min(first + items_per_block, grad_item.rows);
  const int64_t own = first + warp;
  const int64_t uses = own < last ? from.of_item.degree(own) : 0;
  const bool some_are_long = __syncthreads_or(uses > kLongList);

  if (own < last && uses <= kLongList) {
    for (int64_t stretch = 0; stretch < user.cols; stretch += Tile::kColumns) {
      const int64_t c = stretch + Tile::column();
      const Floats<Tile::kWidth> sum =
          sum_of_uses<Tile>(from, from.of_item.row(own), uses, user, c, fetched[warp]);
      if (Tile::row() == 0 && c < user.cols) store(grad_item.row(own) + c, sum);
    }
  }
  if (!some_are_long) return;

  for (int64_t i = first; i < last; ++i) {
    const int64_t count = from.of_item.degree(i);
    if (count <= kLongList) continue;
    const int64_t begin = count * warp / kWarps, end = count * (warp + 1) / kWarps;
    for (int64_t stretch = 0; stretch < user.cols; stretch += Tile::kColumns) {
      const int64_t c = stretch + Tile::column();
      const Floats<Tile::kWidth> sum =
          sum_of_uses<Tile>(from, from.of_item.row(i) + begin, end - begin, user, c, fetched[warp]);
      if (Tile::row() == 0) store(share[warp] + Tile::column(), sum);
      __syncthreads();
      if (threadIdx.x < Tile::kLanes && c < user.cols) {
        Floats<Tile::kWidth> total = load<Tile::kWidth>(share[0] + Tile::column());
        for (int other = 1; other < kWarps; ++other) {
          const Floats<Tile::kWidth> more = load<Tile::kWidth>(share[other] + Tile::column());
#pragma unroll
          for (int w = 0; w < Tile::kWidth; ++w) total[w] += more[w];
        }
        store(grad_item.row(i) + c, total);
      }
      __syncthreads();
    }
  }
}

// A tile's row of lanes a user: most have no batch row, few more than one.
template <class Tile>
__global__ __launch_bounds__(kThreads) void sum_users(CsrView rows_of_user,
                                                      MatrixView<const float> user_row,
                                                      MatrixView<float> grad_user) {
  const int64_t u = int64_t{blockIdx.x} * (kThreads / Tile::kLanes) + threadIdx.x / Tile::kLanes;
  if (u >= grad_user.rows) return;
  const int32_t* const batch_row = rows_of_user.row(u);
  const int64_t count = rows_of_user.degree(u);
  for (int64_t c = Tile::column(); c < grad_user.cols; c += Tile::kColumns) {
    Floats<Tile::kWidth> sum{};
#pragma unroll 4
    for (int64_t k = 0; k < count; ++k) {
      const Floats<Tile::kWidth> x = load<Tile::kWidth>(user_row.row(batch_row[k]) + c);
#pragma unroll
      for (int w = 0; w < Tile::kWidth; ++w) sum[w] += x[w];
    }
    store(grad_user.row(u) + c, sum);
  }
}

}  // namespace

void batch_gradient(MatrixView<const float> user, const BatchView& batch,
                    const BatchGradientView& grad, MatrixView<float> grad_user,
                    MatrixView<float> grad_item, Stream stream) {
  require_batch_gradient_shapes(user, batch, grad, grad_user, grad_item);
  const Uses uses{batch.uses_of_item(), batch.user.data, grad.score.data,
                  uint32_t(1 + batch.negatives())};
  // Where most lists are long, blocks with one of them each keep more of the device busy.
  const int items_per_block = batch.item_use.size > kLongList * grad_item.rows ? 1 : kWarps;
  with_row_tile(user.cols, {user, grad_item}, [&]<class Tile>() {
    launch(sum_items<Tile>, unsigned(ceil_div(grad_item.rows, int64_t{items_per_block})), kThreads,
           0, stream, items_per_block, uses, user, grad_item);
  });
  user_gradient(batch, grad.user_row, grad_user, stream);
}

void user_gradient(const BatchView& batch, MatrixView<const float> user_row,
                   MatrixView<float> grad_user, Stream stream) {
  require_user_gradient_shapes(batch, user_row, grad_user);
  with_row_tile(grad_user.cols, {user_row, grad_user}, [&]<class Tile>() {
    launch(sum_users<Tile>, unsigned(ceil_div(grad_user.rows, int64_t{kThreads / Tile::kLanes})),
           kThreads, 0, stream, batch.rows_of_user(), user_row, grad_user);
  });
}

}  // namespace rec::cuda
