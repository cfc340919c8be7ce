#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector_io.cuh"
#include "kernels/normalisation/normalisation.h"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsPerBlock = kThreads / kWarpSize;  // a warp a row

unsigned blocks_for(int64_t rows) { return unsigned(ceil_div(rows, kRowsPerBlock)); }
__device__ int64_t row_of_warp() {
  return int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.x / kWarpSize;
}

// In double, where the square of no float overflows or vanishes. Every lane gets the sum.
template <int Width>
__device__ double dot_in_double(const float* x, const float* y, int64_t cols) {
  double sum = 0.0;
  for (int64_t c = int64_t{threadIdx.x % kWarpSize} * Width; c < cols; c += kWarpSize * Width) {
    const Floats<Width> a = load<Width>(x + c), b = load<Width>(y + c);
#pragma unroll
    for (int w = 0; w < Width; ++w) sum += double(a[w]) * double(b[w]);
  }
  return warp_sum(sum);
}

template <int Width>
__global__ __launch_bounds__(kThreads) void normalise_rows(MatrixView<const float> e,
                                                           MatrixView<float> n, float* norms) {
  const int64_t row = row_of_warp();
  const int lane = threadIdx.x % kWarpSize;
  if (row >= e.rows) return;
  const float length = float(sqrt(dot_in_double<Width>(e.row(row), e.row(row), e.cols)));
  const float norm = length < kSmallestNorm ? kSmallestNorm : length;  // NaN stays
  for (int64_t c = int64_t{lane} * Width; c < e.cols; c += kWarpSize * Width) {
    Floats<Width> x = load<Width>(e.row(row) + c);
#pragma unroll
    for (int w = 0; w < Width; ++w) x[w] /= norm;
    store(n.row(row) + c, x);
  }
  if (lane == 0) norms[row] = norm;
}

template <int Width>
__global__ __launch_bounds__(kThreads) void normalise_rows_backward(MatrixView<const float> n,
                                                                    const float* norms,
                                                                    MatrixView<float> grad) {
  const int64_t row = row_of_warp();
  if (row >= n.rows) return;
  const float norm = norms[row];
  // A clamped norm is a constant: nothing is projected out.
  const float along =
      norm > kSmallestNorm ? float(dot_in_double<Width>(n.row(row), grad.row(row), n.cols)) : 0.0f;
  for (int64_t c = int64_t{threadIdx.x % kWarpSize} * Width; c < n.cols; c += kWarpSize * Width) {
    const Floats<Width> x = load<Width>(n.row(row) + c);
    Floats<Width> g = load<Width>(grad.row(row) + c);
#pragma unroll
    for (int w = 0; w < Width; ++w) g[w] = (g[w] - x[w] * along) / norm;
    store(grad.row(row) + c, g);
  }
}

}  // namespace

void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm,
               Stream stream) {
  require_normalisation_shapes(e, norm, n);
  with_width(vector_width({e, n}), [&]<int Width>() {
    launch(normalise_rows<Width>, blocks_for(e.rows), kThreads, 0, stream, e, n, norm.data);
  });
}

void normalise_backward(MatrixView<const float> n, VectorView<const float> norm,
                        MatrixView<float> grad, Stream stream) {
  require_normalisation_shapes(n, norm, grad);
  with_width(vector_width({n, grad}), [&]<int Width>() {
    launch(normalise_rows_backward<Width>, blocks_for(n.rows), kThreads, 0, stream, n, norm.data,
           grad);
  });
}

}  // namespace rec::cuda
