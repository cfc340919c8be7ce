#include <algorithm>
#include <type_traits>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/column_sums.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"
#include "kernels/language_projection/gathered_users.h"
#include "kernels/language_projection/language_projection.h"

namespace rec::cuda {
namespace {

// What one GEMM row and one gathered edge cost on an H100: computed, not measured.
constexpr double kGatheredBytes = 5.5e12;              // a second, out of L2
constexpr double product_flops(Precision precision) {  // a second
  switch (precision) {
    case Precision::fp32: return 55e12;
    case Precision::tf32: return 385e12;
    case Precision::bf16: return 700e12;
  }
  return 0;
}

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBlocksAtOnce = 3;    // on a multiprocessor: what the registers must leave room for
constexpr int kRowsInFlight = 4;    // rows that a thread has asked for before it adds them
constexpr int64_t kLongList = 256;  // entries; longer ones are shared out among the block

// ---- sums of gathered rows ----

// What is gathered forward: a user's mean of her items' rows.
template <class T>
struct UserMeans {
  MatrixView<const T> from;  // the items' rows
  MatrixView<T> to;          // the users'
  CsrView items_of_user;
  GatheredUsers users;

  __device__ int64_t lists() const { return users.count; }
  __device__ int64_t owner(int64_t list) const { return users[list]; }
  __device__ const CsrView& entries() const { return items_of_user; }
  static constexpr bool kWeighted = false;
  static constexpr bool kPutsEmpty = false;
  template <int Width>
  __device__ void put(int64_t user, int64_t column, Floats<Width> sum) const {
    const float share = 1.0f / float(items_of_user.degree(user));
#pragma unroll
    for (int w = 0; w < Width; ++w) sum[w] *= share;
    store(to.row(user) + column, sum);
  }
};

// What is gathered backward: 1 / degree of the rows of an item's users.
template <class T, Into into>
struct ItemGradients {
  MatrixView<const T> from;  // the users' rows
  MatrixView<T> to;          // the items'
  CsrView users_of_item;
  const float* share;  // [users], 1 / degree

  __device__ int64_t lists() const { return users_of_item.rows; }
  __device__ int64_t owner(int64_t list) const { return list; }
  __device__ const CsrView& entries() const { return users_of_item; }
  static constexpr bool kWeighted = true;
  static constexpr bool kPutsEmpty = into == Into::overwrite;
  __device__ float weight(int32_t user) const { return share[user]; }
  template <int Width>
  __device__ void put(int64_t item, int64_t column, Floats<Width> sum) const {
    if constexpr (into == Into::add) {
      const Floats<Width> own = load<Width>(to.row(item) + column);
#pragma unroll
      for (int w = 0; w < Width; ++w) sum[w] += own[w];
    }
    store(to.row(item) + column, sum);
  }
};

// sum over j in [begin, end) of weight(entry[j]) from[entry[j], column ..], in order. All lanes of
// the warp call, with the same list and columns side by side; `inside` is false beyond the last.
template <int Width, class Rows>
__device__ Floats<Width> sum_of_rows(const Rows& rows, const int32_t* entry, int64_t begin,
                                     int64_t end, int64_t column, bool inside) {
  const int lane = threadIdx.x % kWarpSize;
  Floats<Width> sum{};
  for (int64_t first = begin; first < end; first += kWarpSize) {
    // A lane reads one entry for all.
    const int count = int(min(end - first, int64_t{kWarpSize}));
    const int32_t own = lane < count ? entry[first + lane] : 0;
    [[maybe_unused]] float own_weight = 0.0f;
    if constexpr (Rows::kWeighted) own_weight = lane < count ? rows.weight(own) : 0.0f;
    for (int j = 0; j < count; j += kRowsInFlight) {
      Floats<Width> row[kRowsInFlight];
#pragma unroll
      for (int k = 0; k < kRowsInFlight; ++k) {
        const int32_t r = __shfl_sync(kFullWarp, own, j + k);
        row[k] = inside && j + k < count ? load<Width>(rows.from.row(r) + column) : Floats<Width>{};
      }
#pragma unroll
      for (int k = 0; k < kRowsInFlight; ++k) {
        float weight = 1.0f;
        if constexpr (Rows::kWeighted) weight = __shfl_sync(kFullWarp, own_weight, j + k);
#pragma unroll
        for (int w = 0; w < Width; ++w) sum[w] += weight * row[k][w];
      }
    }
  }
  return sum;
}

// Block x = slab * list_blocks + b makes the sums of lists b, b + list_blocks, ... in the columns
// of one slab. Slabs come one after another, so that the blocks at work at a time gather from the
// same columns, and L2 holds them. Long lists tend to be neighbours: they go to different blocks.
// What has no entries is put as 0 where Rows asks for it (kPutsEmpty), and else left as it is.
template <int Width, class Rows>
__global__ __launch_bounds__(kThreads, kBlocksAtOnce) void gather(Rows rows, int64_t list_blocks) {
  REC_SHARED_ARRAY(float, part, [kWarps][kWarpSize * Width]);
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int64_t column = (blockIdx.x / list_blocks * kWarpSize + lane) * Width;
  const bool inside = column < rows.to.cols;
  const int64_t first_list = blockIdx.x % list_blocks;
  const CsrView& entries = rows.entries();

  // A warp a list, but for the long ones.
  const int64_t list = first_list + warp * list_blocks;
  if (list < rows.lists()) {
    const int64_t owner = rows.owner(list), degree = entries.degree(owner);
    if ((Rows::kPutsEmpty || degree > 0) && degree <= kLongList) {
      const Floats<Width> sum =
          sum_of_rows<Width>(rows, entries.row(owner), 0, degree, column, inside);
      if (inside) rows.template put<Width>(owner, column, sum);
    }
  }
  // Those, one after another: each warp sums a part, and the parts are added in order.
  for (int n = 0; n < kWarps; ++n) {
    const int64_t long_list = first_list + n * list_blocks;
    if (long_list >= rows.lists()) break;
    const int64_t owner = rows.owner(long_list), degree = entries.degree(owner);
    if (degree <= kLongList) continue;
    const Floats<Width> sum = sum_of_rows<Width>(rows, entries.row(owner), warp * degree / kWarps,
                                                 (warp + 1) * degree / kWarps, column, inside);
    store(&part[warp][lane * Width], sum);
    __syncthreads();
    if (warp == 0 && inside) {
      Floats<Width> total = sum;
      for (int other = 1; other < kWarps; ++other) {
        const Floats<Width> x = load<Width>(&part[other][lane * Width]);
#pragma unroll
        for (int w = 0; w < Width; ++w) total[w] += x[w];
      }
      rows.template put<Width>(owner, column, total);
    }
    __syncthreads();
  }
}

template <class Rows>
void launch_gather(const Rows& rows, int64_t lists, Stream stream) {
  const int64_t list_blocks = ceil_div(lists, kWarps);
  with_width(vector_width({rows.from, rows.to}), [&]<int Width>() {
    const int64_t slabs = ceil_div(rows.to.cols, int64_t{kWarpSize} * Width);
    launch(gather<Width, Rows>, unsigned(list_blocks * slabs), kThreads, 0, stream, rows,
           list_blocks);
  });
}

// ---- rows copied, cleared ----

// to[to_row(r)] = from[from_row(r)], a warp a row; an empty list of rows is 0, 1, 2 ...
template <int Width, class From, class To>
__global__ __launch_bounds__(kThreads) void copy_rows(MatrixView<const From> from,
                                                      VectorView<const int32_t> from_row,
                                                      MatrixView<To> to,
                                                      VectorView<const int32_t> to_row,
                                                      int64_t rows) {
  const int64_t r = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (r >= rows) return;
  const From* const source = from.row(from_row.size > 0 ? from_row[r] : r);
  To* const target = to.row(to_row.size > 0 ? to_row[r] : r);
  for (int64_t c = int64_t{threadIdx.x % kWarpSize} * Width; c < to.cols; c += kWarpSize * Width)
    store(target + c, load<Width>(source + c));
}

template <class From, class To>
void launch_copy_rows(MatrixView<From> from, VectorView<const int32_t> from_row, MatrixView<To> to,
                      VectorView<const int32_t> to_row, int64_t rows, Stream stream) {
  with_width(vector_width({from, to}), [&]<int Width>() {
    launch(copy_rows<Width, std::remove_const_t<From>, To>, unsigned(ceil_div(rows, kWarps)),
           kThreads, 0, stream, from, from_row, to, to_row, rows);
  });
}

template <class T>
__global__ __launch_bounds__(kThreads) void clear_rows_without_items(CsrView items_of_user,
                                                                     MatrixView<T> users) {
  const int64_t u = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (u >= users.rows || items_of_user.degree(u) > 0) return;
  for (int64_t c = threadIdx.x % kWarpSize; c < users.cols; c += kWarpSize) users(u, c) = T{};
}

__global__ __launch_bounds__(kThreads) void shares_of_users(CsrView items_of_user, float* share) {
  const int64_t u = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (u >= items_of_user.rows) return;
  const int64_t degree = items_of_user.degree(u);
  share[u] = degree > 0 ? 1.0f / float(degree) : 0.0f;
}

// to's rows: of the gathered users, the means of their items' rows; of users without items, 0.
template <class T>
void launch_means(const GraphView& graph, const GatheredUsers& users, MatrixView<const T> from,
                  MatrixView<T> to, Stream stream) {
  launch(clear_rows_without_items<T>, unsigned(ceil_div(to.rows, kWarps)), kThreads, 0, stream,
         graph.items_of_user, to);
  launch_gather(UserMeans<T>{from, to, graph.items_of_user, users}, users.count, stream);
}

// Users pass 1 / degree of their rows to each of their items. share [users] is scratch.
template <class T, Into into>
void launch_shares(const GraphView& graph, const CsrView& users_of_item, VectorView<float> share,
                   MatrixView<const T> from, MatrixView<T> to, Stream stream) {
  launch(shares_of_users, unsigned(ceil_div(graph.users(), kThreads)), kThreads, 0, stream,
         graph.items_of_user, share.data);
  launch_gather(ItemGradients<T, into>{from, to, users_of_item, share.data}, to.rows, stream);
}

// T, Pre: as the header says.
template <class T, class Pre>
struct Scratch {
  static constexpr bool kRoundsGradient = !std::is_same_v<T, Pre>;
  static constexpr bool kRoundsBias = std::is_same_v<Pre, Bf16>;

  MatrixView<Pre> heavy;     // [heavy users, out], forward
  MatrixView<T> grad_heavy;  // the same memory, backward
  MatrixView<T> grad_item;   // [items, out] where G is rounded
  MatrixView<Pre> bias;      // [1, out] where it is rounded
  VectorView<float> share;   // [users]
  VectorView<std::byte> column_sums;

  Scratch(Carver carver, int64_t users, int64_t items, int64_t heavy_users, int64_t out) {
    constexpr int64_t kMost = int64_t(std::max(sizeof(T), sizeof(Pre)));
    std::byte* const heavy_rows = carver.take<std::byte>(heavy_users * out * kMost).data;
    heavy = {reinterpret_cast<Pre*>(heavy_rows), heavy_users, out};
    grad_heavy = {reinterpret_cast<T*>(heavy_rows), heavy_users, out};
    if (kRoundsGradient) grad_item = {carver.take<T>(items * out).data, items, out};
    if (kRoundsBias) bias = {carver.take<Pre>(out).data, 1, out};
    share = carver.take<float>(users);
    column_sums = carver.take<std::byte>(column_sums_scratch_bytes(items + heavy_users, out));
    bytes = carver.bytes();
  }
  Scratch(VectorView<std::byte> memory, const GraphView& graph, int64_t heavy_users, int64_t out)
      : Scratch(Carver(memory.data), graph.users(), graph.items(), heavy_users, out) {
    require_scratch(memory, bytes,
                    "language_projection: scratch needs projection_scratch_bytes, aligned to 256");
  }
  int64_t bytes;
};

}  // namespace

int64_t hybrid_degree(int64_t language_width, Precision precision) {
  // A row costs 2 D H flops, an edge H stored values: H drops out.
  const size_t stored = precision == Precision::bf16 ? sizeof(Bf16) : sizeof(float);
  const double row = 2.0 * double(language_width) / product_flops(precision);
  const double edge = double(stored) / kGatheredBytes;
  return int64_t(row / edge);
}

template <class T, class Pre>
int64_t projection_scratch_bytes(int64_t users, int64_t items, int64_t heavy_users, int64_t out) {
  return Scratch<T, Pre>(Carver(nullptr), users, items, heavy_users, out).bytes;
}

template <class T, class Pre>
void project_language(Gemm& gemm, const LanguageViewOf<T>& z, const GraphView& graph,
                      const LinearViewOf<T>& layer, MatrixView<Pre> pre,
                      VectorView<std::byte> scratch, Stream stream) {
  require_language_shapes(z, graph, layer, pre.rows, pre.cols);
  const Scratch<T, Pre> own(scratch, graph, z.heavy.rows, pre.cols);
  const MatrixView<Pre> users = pre.rows_from(0, graph.users());
  const MatrixView<Pre> items = pre.rows_from(graph.users(), graph.items());
  const int64_t biases = layer.bias.size > 0 ? 1 : 0;
  const MatrixView<const float> exact_bias(layer.bias.data, biases, layer.bias.size);
  ConstStoredView bias = exact_bias;
  if (own.kRoundsBias) {
    launch_copy_rows(exact_bias, {}, own.bias, {}, biases, stream);
    bias = own.bias.rows_from(0, biases);
  }
  gemm.a_bt(z.item, layer.weight, bias, Into::overwrite, items, stream);
  if (z.heavy.rows > 0) {
    gemm.a_bt(z.heavy, layer.weight, bias, Into::overwrite, own.heavy, stream);
    launch_copy_rows(own.heavy, {}, users, z.heavy_user, own.heavy.rows, stream);
  }
  launch_means<Pre>(graph, GatheredUsers::of(z.light_user), items, users, stream);
}

template <class T, class Pre>
void project_language_backward(Gemm& gemm, const LanguageViewOf<T>& z, const GraphView& graph,
                               MatrixView<Pre> grad_pre, const LinearGradientView& grad,
                               VectorView<std::byte> scratch, Stream stream) {
  require_language_shapes(z, graph, grad, grad_pre.rows, grad_pre.cols);
  const Scratch<T, Pre> own(scratch, graph, z.heavy.rows, grad_pre.cols);
  const MatrixView<Pre> users = grad_pre.rows_from(0, graph.users());
  const MatrixView<Pre> items = grad_pre.rows_from(graph.users(), graph.items());
  launch_copy_rows(users, z.heavy_user, own.grad_heavy, {}, z.heavy.rows, stream);
  if (z.light_user.size > 0)
    launch_shares<Pre, Into::add>(graph, z.light_users_of_item, own.share, users, items, stream);
  MatrixView<const T> g;
  if constexpr (own.kRoundsGradient) {
    launch_copy_rows(items, {}, own.grad_item, {}, items.rows, stream);
    g = own.grad_item;
  } else {
    g = items;
  }
  // What the users add to grad_b lies in G as well: their shares of their items add up to 1.
  if (grad.bias.size > 0) column_sums(g, own.grad_heavy, grad.bias, own.column_sums, stream);
  gemm.at_b(g, z.item, Into::overwrite, grad.weight, stream);
  if (z.heavy.rows > 0) gemm.at_b(own.grad_heavy, z.heavy, Into::add, grad.weight, stream);
}

void mean_of_items(const GraphView& graph, MatrixView<const float> x, MatrixView<float> out,
                   Stream stream) {
  require_mean_of_items_shapes(graph, x, out);
  launch_means(graph, GatheredUsers::everyone(graph), x, out, stream);
}

int64_t mean_of_items_adjoint_scratch_bytes(int64_t users) {
  Carver carver(nullptr);
  carver.take<float>(users);
  return carver.bytes();
}

void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x, VectorView<std::byte> scratch, Stream stream) {
  require_mean_of_items_shapes(graph, grad_x, grad_out);
  require_scratch(
      scratch, mean_of_items_adjoint_scratch_bytes(graph.users()),
      "mean_of_items: scratch needs mean_of_items_adjoint_scratch_bytes, aligned to 256");
  const VectorView<float> share = Carver(scratch.data).take<float>(graph.users());
  launch_shares<float, Into::overwrite>(graph, graph.users_of_item, share, grad_out, grad_x,
                                        stream);
}

template int64_t projection_scratch_bytes<float, float>(int64_t, int64_t, int64_t, int64_t);
template int64_t projection_scratch_bytes<Bf16, Bf16>(int64_t, int64_t, int64_t, int64_t);
template int64_t projection_scratch_bytes<Bf16, float>(int64_t, int64_t, int64_t, int64_t);

template void project_language(Gemm&, const LanguageViewOf<float>&, const GraphView&,
                               const LinearViewOf<float>&, MatrixView<float>, VectorView<std::byte>,
                               Stream);
template void project_language(Gemm&, const LanguageViewOf<Bf16>&, const GraphView&,
                               const LinearViewOf<Bf16>&, MatrixView<Bf16>, VectorView<std::byte>,
                               Stream);
template void project_language(Gemm&, const LanguageViewOf<Bf16>&, const GraphView&,
                               const LinearViewOf<Bf16>&, MatrixView<float>, VectorView<std::byte>,
                               Stream);

template void project_language_backward(Gemm&, const LanguageViewOf<float>&, const GraphView&,
                                        MatrixView<float>, const LinearGradientView&,
                                        VectorView<std::byte>, Stream);
template void project_language_backward(Gemm&, const LanguageViewOf<Bf16>&, const GraphView&,
                                        MatrixView<Bf16>, const LinearGradientView&,
                                        VectorView<std::byte>, Stream);
template void project_language_backward(Gemm&, const LanguageViewOf<Bf16>&, const GraphView&,
                                        MatrixView<float>, const LinearGradientView&,
                                        VectorView<std::byte>, Stream);

}  // namespace rec::cuda
