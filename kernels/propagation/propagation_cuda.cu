#include <algorithm>
#include <bit>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/propagation/propagation.h"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
// Neighbours that a lane waits for together. In the first hop their scales are on the way as well.
constexpr int in_flight(bool first) { return first && compiled_for_less_than(90) ? 3 : 4; }
constexpr int kLongRow = 256;  // a row with more neighbours is cut into slices, a block each
constexpr int kSliceCols = 8;  // 32 bytes of every neighbour, the least that memory gives
constexpr int kTogether = 4;   // adjacent rows looked at by one block: 32 bytes of row_start
constexpr int kMostLanes = kWarpSize;

// One hop, from the rows of `source` to those of `next` and `e`.
struct Hop {
  GraphView graph;
  MatrixView<const float> source;  // z_k, or x in the first hop
  MatrixView<const float> so_far;  // e, or x in the first hop
  MatrixView<float> next;          // z_(k+1); no data in the last hop
  MatrixView<float> e;
  float mean_scale;
  int lanes;            // for a row: a power of two, so that a warp reads kWarpSize / lanes rows
  int64_t long_groups;  // blocks that look for long rows, each for every slice
  int64_t slices;
  // As UserSubset::row_start; null: everyone.
  const int64_t* nonzero;  // of the first hop
  const int64_t* wanted;   // of the last hop
};

// A node with what its sum needs of the other side.
struct Row {
  int64_t node;
  float scale;
  const int32_t* neighbours;
  uint32_t degree;  // ids are below 2^31, so places and steps fit as well
  MatrixView<const float> source;
  const float* source_scale;  // D^-1/2 of the source's rows
  const int64_t* nonzero;     // of the source's rows, where they are users
};

__device__ __forceinline__ bool is_in(const int64_t* subset, int64_t user) {
  return subset == nullptr || subset[user + 1] > subset[user];
}

// Of the neighbours that the hop adds up.
__device__ int64_t degree_of(const Hop& hop, int64_t node) {
  const GraphView& graph = hop.graph;
  if (node >= graph.users()) return graph.users_of_item.degree(node - graph.users());
  return is_in(hop.wanted, node) ? graph.items_of_user.degree(node) : 0;
}

__device__ Row row_of(const Hop& hop, int64_t node) {
  const GraphView& graph = hop.graph;
  const int64_t users = graph.users(), items = graph.items();
  if (node < users)
    return {node,
            graph.user_scale[node],
            graph.items_of_user.row(node),
            uint32_t(degree_of(hop, node)),
            hop.source.rows_from(users, items),
            graph.item_scale.data,
            nullptr};
  const int64_t item = node - users;
  return {node,
          graph.item_scale[item],
          graph.users_of_item.row(item),
          uint32_t(degree_of(hop, node)),
          hop.source.rows_from(0, users),
          graph.user_scale.data,
          hop.nonzero};
}

// The neighbour at `place`; -1 if there is none, or nothing to add.
template <bool First>
__device__ __forceinline__ int32_t neighbour_at(const Row& row, uint32_t place) {
  if (place >= row.degree) return -1;
  const int32_t id = row.neighbours[place];
  return !First || is_in(row.nonzero, id) ? id : -1;
}

// Width columns from `col` of the neighbours first, first + step, first + 2 step, ... added up.
// First: the source is not scaled yet. While some rows are on their way, the next ids are too.
template <int Width, bool First>
__device__ __forceinline__ Floats<Width> sum_of_neighbours(const Row& row, uint32_t first,
                                                           uint32_t step, int64_t col) {
  constexpr int kInFlight = in_flight(First);
  Floats<Width> sum = {};
  int32_t id[kInFlight];
#pragma unroll
  for (int j = 0; j < kInFlight; ++j) id[j] = neighbour_at<First>(row, first + j * step);
  for (uint32_t at = first; at < row.degree; at += kInFlight * step) {
    Floats<Width> value[kInFlight] = {};
    float scale[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      scale[j] = First && id[j] >= 0 ? row.source_scale[id[j]] : 1.0f;
      if (id[j] >= 0) value[j] = load<Width>(row.source.row(id[j]) + col);
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j)
      id[j] = neighbour_at<First>(row, at + (kInFlight + j) * step);
#pragma unroll
    for (int j = 0; j < kInFlight; ++j)
#pragma unroll
      for (int w = 0; w < Width; ++w) sum[w] += First ? scale[j] * value[j][w] : value[j][w];
  }
  return sum;
}

// Adds up what the groups of `lanes` lanes hold; the first group gets the sum.
template <int Width>
__device__ __forceinline__ Floats<Width> sum_of_groups(Floats<Width> sum, int lanes) {
  for (int down = kWarpSize / 2; down >= lanes; down /= 2)
#pragma unroll
    for (int w = 0; w < Width; ++w) sum[w] += __shfl_down_sync(kFullWarp, sum[w], unsigned(down));
  return sum;
}

// From the sum of a row's neighbours to its next z and its mean so far.
template <int Width>
__device__ __forceinline__ void close_row(const Hop& hop, const Row& row, int64_t col,
                                          const Floats<Width>& sum) {
  Floats<Width> mean = load<Width>(hop.so_far.row(row.node) + col), z;
#pragma unroll
  for (int w = 0; w < Width; ++w) {
    const float layer = row.scale * sum[w];
    mean[w] = (mean[w] + layer) * hop.mean_scale;
    z[w] = row.scale * layer;
  }
  store(hop.e.row(row.node) + col, mean);
  if (hop.next.data != nullptr) store(hop.next.row(row.node) + col, z);
}

// A warp makes a row: groups of lanes take a neighbour each, and are added up at the end.
template <int Width, bool First>
__device__ void short_row(const Hop& hop, int64_t node) {
  if (node >= hop.e.rows) return;
  const Row row = row_of(hop, node);
  if (row.degree > kLongRow) return;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / hop.lanes, groups = kWarpSize / hop.lanes;
  const int64_t step = int64_t{hop.lanes} * Width;
  for (int64_t from = 0; from < hop.e.cols; from += step) {
    const int64_t col = from + lane % hop.lanes * Width;
    Floats<Width> sum = {};
    if (col < hop.e.cols) sum = sum_of_neighbours<Width, First>(row, group, groups, col);
    sum = sum_of_groups(sum, hop.lanes);
    if (group == 0 && col < hop.e.cols) close_row(hop, row, col, sum);
  }
}

// A block makes a few columns of the long rows among the kThreads rows it looks at. Long rows tend
// to stand together, so adjacent rows go to different blocks.
template <int Width, bool First>
__device__ void slices_of_long_rows(const Hop& hop) {
  constexpr int kLanes = kSliceCols / Width;
  constexpr int kGroups = kThreads / kLanes;
  REC_SHARED_ARRAY(unsigned, is_long, [kWarps]);
  REC_SHARED_ARRAY(float, partial, [kWarps][kSliceCols]);
  const int64_t block_group = blockIdx.x / hop.slices, slice = blockIdx.x % hop.slices;
  const auto node_of = [&](int place) {
    return (place / kTogether * hop.long_groups + block_group) * kTogether + place % kTogether;
  };
  const int thread = int(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;
  const int64_t mine = node_of(thread);
  const unsigned votes =
      __ballot_sync(kFullWarp, mine < hop.e.rows && degree_of(hop, mine) > kLongRow);
  if (lane == 0) is_long[warp] = votes;
  __syncthreads();
  const int64_t col = slice * kSliceCols + thread % kLanes * Width;
  for (int w = 0; w < kWarps; ++w) {
    for (unsigned left = is_long[w]; left != 0; left &= left - 1) {
      const Row row = row_of(hop, node_of(w * kWarpSize + __ffs(int(left)) - 1));
      Floats<Width> sum = {};
      if (col < hop.e.cols)
        sum = sum_of_neighbours<Width, First>(row, thread / kLanes, kGroups, col);
      sum = sum_of_groups(sum, kLanes);
      if (lane < kLanes) store(&partial[warp][lane * Width], sum);
      __syncthreads();
      if (thread < kLanes && col < hop.e.cols) {
        for (int other = 1; other < kWarps; ++other) {
          const Floats<Width> more = load<Width>(&partial[other][thread * Width]);
#pragma unroll
          for (int v = 0; v < Width; ++v) sum[v] += more[v];
        }
        close_row(hop, row, col, sum);
      }
      __syncthreads();
    }
  }
}

// Long rows come first, so that none is begun when everything else is done.
template <int Width, bool First>
__global__ __launch_bounds__(kThreads) void propagate_hop(Hop hop) {
  const int64_t short_block = int64_t{blockIdx.x} - hop.long_groups * hop.slices;
  if (short_block < 0)
    slices_of_long_rows<Width, First>(hop);
  else
    short_row<Width, First>(hop, short_block * kWarps + threadIdx.x / kWarpSize);
}

__global__ __launch_bounds__(kThreads) void copy_rows(MatrixView<const float> x,
                                                      MatrixView<float> e) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (row >= x.rows) return;
  for (int64_t c = threadIdx.x % kWarpSize; c < x.cols; c += kWarpSize) e(row, c) = x(row, c);
}

}  // namespace

void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
               MatrixView<const float> x, MatrixView<float> scratch, MatrixView<float> e,
               Stream stream) {
  require_propagation_shapes(graph, layers, users, x, scratch, e);
  const int64_t nodes = graph.nodes(), row_blocks = ceil_div(nodes, kWarps);
  if (layers == 0) {
    launch(copy_rows, unsigned(row_blocks), kThreads, 0, stream, x, e);
    return;
  }
  with_width(vector_width({x, scratch, e}), [&]<int Width>() {
    const int64_t lanes = ceil_div(x.cols, Width);
    Hop hop;
    hop.graph = graph;
    hop.e = e;
    hop.lanes = int(std::bit_ceil(uint64_t(std::clamp<int64_t>(lanes, 1, kMostLanes))));
    hop.slices = ceil_div(x.cols, kSliceCols);
    // Rows that a block looks at, kTogether of each kTogether * long_groups: kThreads at most.
    hop.long_groups = ceil_div(nodes, kThreads);
    const unsigned blocks = unsigned(hop.long_groups * hop.slices + row_blocks);
    for (int k = 0; k < layers; ++k) {
      const bool last = k + 1 == layers;
      hop.source = k == 0 ? x : scratch.rows_from((k - 1) % 2 * nodes, nodes);
      hop.so_far = k == 0 ? x : MatrixView<const float>(e);
      hop.next = last ? MatrixView<float>() : scratch.rows_from(k % 2 * nodes, nodes);
      hop.mean_scale = last ? 1.0f / float(layers + 1) : 1.0f;
      hop.nonzero = k == 0 ? users.nonzero.row_start.data : nullptr;
      hop.wanted = last ? users.wanted.row_start.data : nullptr;
      launch(k == 0 ? propagate_hop<Width, true> : propagate_hop<Width, false>, blocks, kThreads, 0,
             stream, hop);
    }
  });
}

}  // namespace rec::cuda
