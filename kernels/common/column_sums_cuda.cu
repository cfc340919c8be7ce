#include <algorithm>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/check.h"
#include "kernels/common/column_sums.h"
#include "kernels/common/gpu.h"
#include "kernels/common/vector_io.cuh"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kThreadsOfRow = 16;  // side by side, each Width columns
constexpr int kRowsAtOnce = kThreads / kThreadsOfRow;
constexpr int64_t kMostPanels = 128;  // enough to fill the device, few enough to add up
constexpr int64_t kFewestRows = 64;

struct Panels {
  int64_t rows, count;  // rows of one, and how many
};
Panels panels_of(int64_t rows) {
  const int64_t each = std::max(kFewestRows, ceil_div(rows, kMostPanels));
  return {each, std::max<int64_t>(1, ceil_div(rows, each))};
}
VectorView<double> take_panel_sums(Carver& carver, int64_t rows, int64_t cols) {
  return carver.take<double>(panels_of(rows).count * cols);
}

// panel_sum [panels, cols]: block x sums rows x * panel_rows .. of `first` with `second` below it.
template <int Width, class T>
__global__ __launch_bounds__(kThreads) void sum_panels(MatrixView<const T> first,
                                                       MatrixView<const T> second,
                                                       int64_t panel_rows, double* panel_sum) {
  REC_SHARED_ARRAY(double, part, [kRowsAtOnce][kThreadsOfRow * Width]);
  const int lane = threadIdx.x % kThreadsOfRow, row_lane = threadIdx.x / kThreadsOfRow;
  const int64_t column = (int64_t{blockIdx.y} * kThreadsOfRow + lane) * Width;
  const int64_t begin = int64_t{blockIdx.x} * panel_rows;
  const int64_t end = min(begin + panel_rows, first.rows + second.rows);
  double sum[Width] = {};
  if (column < first.cols) {
    for (int64_t r = begin + row_lane; r < end; r += kRowsAtOnce) {
      const T* const row = r < first.rows ? first.row(r) : second.row(r - first.rows);
      const Floats<Width> x = load<Width>(row + column);
#pragma unroll
      for (int w = 0; w < Width; ++w) sum[w] += double(x[w]);
    }
  }
#pragma unroll
  for (int w = 0; w < Width; ++w) part[row_lane][lane * Width + w] = sum[w];
  __syncthreads();
  const int64_t out = int64_t{blockIdx.y} * kThreadsOfRow * Width + threadIdx.x;
  if (threadIdx.x >= kThreadsOfRow * Width || out >= first.cols) return;
  double total = 0.0;
  for (int r = 0; r < kRowsAtOnce; ++r) total += part[r][threadIdx.x];
  panel_sum[blockIdx.x * first.cols + out] = total;
}

__global__ __launch_bounds__(kThreads) void add_panels(const double* panel_sum, int64_t panels,
                                                       VectorView<float> sum) {
  const int64_t column = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= sum.size) return;
  double total = 0.0;
#pragma unroll 8
  for (int64_t p = 0; p < panels; ++p) total += panel_sum[p * sum.size + column];
  sum[column] = float(total);
}

template <class T>
void sum_columns(MatrixView<const T> first, MatrixView<const T> second, VectorView<float> sum,
                 VectorView<std::byte> scratch, Stream stream) {
  require(first.cols == sum.size && (second.rows == 0 || second.cols == sum.size),
          "column_sums: one sum per column");
  if (sum.size == 0) return;
  const int64_t rows = first.rows + second.rows;
  Carver carver(scratch.data);
  const VectorView<double> panel_sum = take_panel_sums(carver, rows, sum.size);
  require_scratch(scratch, carver.bytes(),
                  "column_sums: scratch needs column_sums_scratch_bytes, aligned to 256");
  const Panels panels = panels_of(rows);
  with_width(vector_width({first, second.rows > 0 ? second : first}), [&]<int Width>() {
    const dim3 blocks(unsigned(panels.count),
                      unsigned(ceil_div(sum.size, int64_t{kThreadsOfRow} * Width)));
    launch(sum_panels<Width, T>, blocks, kThreads, 0, stream, first, second, panels.rows,
           panel_sum.data);
  });
  launch(add_panels, unsigned(ceil_div(sum.size, kThreads)), kThreads, 0, stream, panel_sum.data,
         panels.count, sum);
}

}  // namespace

int64_t column_sums_scratch_bytes(int64_t rows, int64_t cols) {
  Carver carver(nullptr);
  take_panel_sums(carver, rows, cols);
  return carver.bytes();
}

void column_sums(MatrixView<const float> first, MatrixView<const float> second,
                 VectorView<float> sum, VectorView<std::byte> scratch, Stream stream) {
  sum_columns(first, second, sum, scratch, stream);
}
void column_sums(MatrixView<const Bf16> first, MatrixView<const Bf16> second, VectorView<float> sum,
                 VectorView<std::byte> scratch, Stream stream) {
  sum_columns(first, second, sum, scratch, stream);
}

}  // namespace rec::cuda
