#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/row_tile.cuh"
#include "kernels/normalisation/normalisation.h"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;

template <class Tile>
constexpr int kRowsPerBlock = kThreads / Tile::kLanes;

template <class Tile>
unsigned blocks_for(int64_t rows) {
  return unsigned(ceil_div(rows, kRowsPerBlock<Tile>));
}
template <class Tile>
__device__ int64_t row_of_lane() {
  return int64_t{blockIdx.x} * kRowsPerBlock<Tile> + threadIdx.x / Tile::kLanes;
}

// In double, where the square of no float overflows or vanishes.
template <int Width>
__device__ __forceinline__ double dot_in_double(const Floats<Width>& x, const Floats<Width>& y) {
  double sum = 0.0;
#pragma unroll
  for (int w = 0; w < Width; ++w) sum += double(x[w]) * double(y[w]);
  return sum;
}

// A tile's row of lanes makes a row. They keep its first stretch, which mostly is all of it, so
// that a row is read once; a wider row's other stretches are read again.
template <class Tile>
__global__ __launch_bounds__(kThreads) void normalise_rows(MatrixView<const float> e,
                                                           MatrixView<float> n, float* norms) {
  using Values = Floats<Tile::kWidth>;
  const int64_t row = row_of_lane<Tile>();
  const bool there = row < e.rows;
  const int64_t cols = there ? e.cols : 0, first = Tile::column();
  const auto at = [&](int64_t c) { return load<Tile::kWidth>(e.row(row) + c); };
  const Values held = first < cols ? at(first) : Values{};
  double square = dot_in_double(held, held);
  for (int64_t c = first + Tile::kColumns; c < cols; c += Tile::kColumns) {
    const Values x = at(c);
    square += dot_in_double(x, x);
  }
  const float length = float(sqrt(Tile::sum_along_row(square)));
  const float norm = length < kSmallestNorm ? kSmallestNorm : length;  // NaN stays
  const auto put = [&](int64_t c, Values x) {
#pragma unroll
    for (int w = 0; w < Tile::kWidth; ++w) x[w] /= norm;
    store(n.row(row) + c, x);
  };
  if (first < cols) put(first, held);
  for (int64_t c = first + Tile::kColumns; c < cols; c += Tile::kColumns) put(c, at(c));
  if (there && Tile::lane() == 0) norms[row] = norm;
}

// The same of a row of n and of its gradient.
template <class Tile>
__global__ __launch_bounds__(kThreads) void normalise_rows_backward(MatrixView<const float> n,
                                                                    const float* norms,
                                                                    MatrixView<float> grad) {
  using Values = Floats<Tile::kWidth>;
  const int64_t row = row_of_lane<Tile>();
  const bool there = row < n.rows;
  const int64_t cols = there ? n.cols : 0, first = Tile::column();
  const float norm = there ? norms[row] : 1.0f;
  const auto n_at = [&](int64_t c) { return load<Tile::kWidth>(n.row(row) + c); };
  const auto grad_at = [&](int64_t c) { return load<Tile::kWidth>(grad.row(row) + c); };
  const Values held = first < cols ? n_at(first) : Values{};
  const Values held_grad = first < cols ? grad_at(first) : Values{};
  double dot = dot_in_double(held, held_grad);
  for (int64_t c = first + Tile::kColumns; c < cols; c += Tile::kColumns)
    dot += dot_in_double(n_at(c), grad_at(c));
  dot = Tile::sum_along_row(dot);
  // A clamped norm is a constant: nothing is projected out.
  const float along = norm > kSmallestNorm ? float(dot) : 0.0f;
  const auto put = [&](int64_t c, const Values& x, Values g) {
#pragma unroll
    for (int w = 0; w < Tile::kWidth; ++w) g[w] = (g[w] - x[w] * along) / norm;
    store(grad.row(row) + c, g);
  };
  if (first < cols) put(first, held, held_grad);
  for (int64_t c = first + Tile::kColumns; c < cols; c += Tile::kColumns)
    put(c, n_at(c), grad_at(c));
}

}  // namespace

void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm,
               Stream stream) {
  require_normalisation_shapes(e, norm, n);
  with_row_tile(e.cols, {e, n}, [&]<class Tile>() {
    launch(normalise_rows<Tile>, blocks_for<Tile>(e.rows), kThreads, 0, stream, e, n, norm.data);
  });
}

void normalise_backward(MatrixView<const float> n, VectorView<const float> norm,
                        MatrixView<float> grad, Stream stream) {
  require_normalisation_shapes(n, norm, grad);
  with_row_tile(n.cols, {n, grad}, [&]<class Tile>() {
    launch(normalise_rows_backward<Tile>, blocks_for<Tile>(n.rows), kThreads, 0, stream, n,
           norm.data, grad);
  });
}

}  // namespace rec::cuda
