#include "kernels/batch_gradient/loss_sum_cuda.cuh"
#include "kernels/batch_l2/batch_l2.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/row_tile.cuh"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;

template <class Tile>
constexpr int kRowsPerBlock = kThreads / Tile::kLanes;

// A tile's row of lanes a node.
template <class Tile>
__global__ __launch_bounds__(kThreads) void add_rows(MatrixView<const float> x, BatchView batch,
                                                     double share, MatrixView<float> grad,
                                                     double* node_loss) {
  using Values = Floats<Tile::kWidth>;
  const int64_t v = int64_t{blockIdx.x} * kRowsPerBlock<Tile> + threadIdx.x / Tile::kLanes;
  const bool there = v < x.rows;
  const double scale = there ? share * double(times_taken(batch, v)) : 0.0;
  const int64_t cols = scale == 0.0 ? 0 : x.cols;
  double square = 0.0;
  for (int64_t c = Tile::column(); c < cols; c += Tile::kColumns) {
    const Values from = load<Tile::kWidth>(x.row(v) + c);
    Values to = load<Tile::kWidth>(grad.row(v) + c);
#pragma unroll
    for (int w = 0; w < Tile::kWidth; ++w) {
      to[w] += float(scale) * from[w];
      square += double(from[w]) * double(from[w]);
    }
    store(grad.row(v) + c, to);
  }
  square = Tile::sum_along_row(square);
  if (there && Tile::lane() == 0) node_loss[v] = 0.5 * scale * square;
}

}  // namespace

void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
              MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum,
              Stream stream) {
  require_batch_l2(x, batch, weight, grad, node_loss);
  const double share = double(weight) / double(batch.rows());
  with_row_tile(x.cols, {x, grad}, [&]<class Tile>() {
    launch(add_rows<Tile>, unsigned(ceil_div(x.rows, kRowsPerBlock<Tile>)), kThreads, 0, stream, x,
           batch, share, grad, node_loss.data);
  });
  add_loss(node_loss, 1.0, loss_sum, stream);
}

}  // namespace rec::cuda
