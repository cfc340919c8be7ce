#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/common/gemm.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/simd.h"
#include "kernels/language_projection/language_projection.h"

namespace rec::cpu {
namespace {

// Rows of one GEMM call: many, so that OpenBLAS packs the other operand seldom, in multiples of
// every GEMM kernel's tile, so that a value is summed in one order however the rows are cut.
constexpr int64_t kMostPanelRows = 512;
constexpr int64_t kPanelStep = 64;
constexpr int64_t kSlab = 64;      // columns aggregated at once: what is gathered stays in L2
constexpr int64_t kRowsAhead = 8;  // scattered rows are asked for this early

// Gathered edges that cost as much as one GEMM row, per language column (docs page, hybrid rows).
constexpr double kEdgesPerLanguageColumn = 0.3;

int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

REC_SIMD_CLONES void scale_row(float scale, const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = scale * x[i];
}

REC_SIMD_CLONES void add_row_in_double(const float* x, double* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += double(x[i]);
}

// Rows of a panel when so many rows are dealt out evenly to the threads.
int64_t panel_rows(int64_t rows) {
  const int64_t threads = omp_get_max_threads();
  const int64_t panels = threads * std::max<int64_t>(1, pieces(rows, threads * kMostPanelRows));
  return std::max<int64_t>(1, pieces(pieces(rows, panels), kPanelStep)) * kPanelStep;
}

// y = x W^T + b
void multiply_panel(MatrixView<const float> x, const LinearView& layer, MatrixView<float> y) {
  const bool has_bias = layer.bias.size > 0;
  for (int64_t r = 0; has_bias && r < y.rows; ++r) std::copy_n(layer.bias.data, y.cols, y.row(r));
  gemm_a_bt(x, layer.weight, has_bias ? Into::add : Into::overwrite, y);
}

// Asks for columns of a row that will be written soon.
void ask_ahead_to_write(const float* row, int64_t cols) {
  constexpr int64_t kFloatsOfALine = 16;
  for (int64_t c = 0; c < cols; c += kFloatsOfALine) __builtin_prefetch(row + c, 1);
}

// The aggregations go by column slab. A slab's rows lie together in a buffer of the thread's own:
// rows of the whole matrix are kilobytes apart, and would share few sets of the cache and miss the
// TLB. fill(first column, columns) makes that buffer; run(first column, columns, begin, end) makes
// rows begin .. end of the result from it. When there are more threads than slabs, several take
// parts of one slab's rows. Every thread of a parallel region calls this.
template <class Fill, class Run>
void for_each_slab_task(int64_t columns, int64_t rows, Fill fill, Run run) {
  const int64_t slabs = pieces(columns, kSlab);
  const int64_t parts = pieces(omp_get_num_threads(), slabs);
  int64_t filled = -1;
#pragma omp for schedule(dynamic, 1)
  for (int64_t t = 0; t < slabs * parts; ++t) {
    const int64_t slab = t / parts, part = t % parts;
    const int64_t first_column = slab * kSlab, width = std::min(kSlab, columns - first_column);
    if (slab != filled) fill(first_column, width);
    filled = slab;
    run(first_column, width, part * rows / parts, (part + 1) * rows / parts);
  }
}

}  // namespace

int64_t hybrid_degree(int64_t language_width) {
  return int64_t(kEdgesPerLanguageColumn * double(language_width));
}

void project_language(const LanguageView& z, const GraphView& graph, const LinearView& layer,
                      MatrixView<float> pre) {
  require_language_shapes(z, graph, layer, pre.rows, pre.cols);
  const MatrixView<float> users = pre.rows_from(0, graph.users());
  const MatrixView<float> items = pre.rows_from(graph.users(), graph.items());
  std::vector<float> heavy(static_cast<size_t>(z.heavy.rows * pre.cols));
  const MatrixView<float> heavy_pre(heavy.data(), z.heavy.rows, pre.cols);
  const int64_t panel = panel_rows(items.rows + z.heavy.rows);
  const int64_t item_panels = pieces(items.rows, panel);

#pragma omp parallel
  {
#pragma omp for schedule(dynamic, 1)
    for (int64_t p = 0; p < item_panels + pieces(z.heavy.rows, panel); ++p) {
      const bool is_item = p < item_panels;
      const MatrixView<const float> x = is_item ? z.item : z.heavy;
      const int64_t first = (is_item ? p : p - item_panels) * panel;
      const int64_t rows = std::min(panel, x.rows - first);
      multiply_panel(x.rows_from(first, rows), layer,
                     (is_item ? items : heavy_pre).rows_from(first, rows));
    }
#pragma omp for schedule(static) nowait
    for (int64_t h = 0; h < z.heavy.rows; ++h)
      std::copy_n(heavy_pre.row(h), pre.cols, users.row(z.heavy_user[h]));
#pragma omp for schedule(static) nowait
    for (int64_t u = 0; u < users.rows; ++u)
      if (graph.items_of_user.degree(u) == 0) std::fill_n(users.row(u), pre.cols, 0.0f);

    // A light user's mean of T + b is the mean of T, plus b.
    std::vector<float> buffer(static_cast<size_t>(items.rows * kSlab));
    MatrixView<float> slab;
    for_each_slab_task(
        pre.cols, z.light_user.size,
        [&](int64_t first, int64_t cols) {
          slab = {buffer.data(), items.rows, cols};
          for (int64_t i = 0; i < items.rows; ++i)
            std::copy_n(items.row(i) + first, cols, slab.row(i));
        },
        [&](int64_t first, int64_t cols, int64_t begin, int64_t end) {
          for (int64_t l = begin; l < end; ++l) {
            if (l + kRowsAhead < end)
              ask_ahead_to_write(users.row(z.light_user[l + kRowsAhead]) + first, cols);
            const int32_t u = z.light_user[l];
            float* out = users.row(u) + first;
            const int64_t degree = graph.items_of_user.degree(u);
            sum_of_rows(slab, graph.items_of_user.row(u), degree, out);
            scale_row(1.0f / float(degree), out, out, cols);
          }
        });
  }
}

void project_language_backward(const LanguageView& z, const GraphView& graph,
                               MatrixView<float> grad_pre, const LinearGradientView& grad) {
  require_language_shapes(z, graph, {grad.weight, grad.bias}, grad_pre.rows, grad_pre.cols);
  const MatrixView<float> users = grad_pre.rows_from(0, graph.users());
  const MatrixView<float> items = grad_pre.rows_from(graph.users(), graph.items());

  std::vector<float> heavy(static_cast<size_t>(z.heavy.rows * grad_pre.cols));
  const MatrixView<float> heavy_grad(heavy.data(), z.heavy.rows, grad_pre.cols);
  const int64_t panel = panel_rows(grad.weight.rows);

#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t h = 0; h < z.heavy.rows; ++h)
      std::copy_n(users.row(z.heavy_user[h]), grad_pre.cols, heavy_grad.row(h));

    // G, into the items' rows: a light user passes 1/degree of its gradient to each of its items.
    std::vector<float> buffer(static_cast<size_t>(users.rows * kSlab));
    MatrixView<float> slab;
    float sum[kSlab];
    for_each_slab_task(
        grad_pre.cols, items.rows,
        [&](int64_t first, int64_t cols) {
          slab = {buffer.data(), users.rows, cols};
          for (int32_t u : z.light_user)
            scale_row(1.0f / float(graph.items_of_user.degree(u)), users.row(u) + first,
                      slab.row(u), cols);
        },
        [&](int64_t first, int64_t cols, int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            sum_of_rows(slab, z.light_users_of_item.row(i), z.light_users_of_item.degree(i), sum);
            add_scaled(1.0f, sum, items.row(i) + first, cols);
          }
        });

    // What the users add to grad_b lies in G as well: their shares of their items add up to 1.
    if (grad.bias.size > 0) {
#pragma omp for schedule(static) nowait
      for (int64_t s = 0; s < pieces(grad_pre.cols, kSlab); ++s) {
        const int64_t first = s * kSlab, cols = std::min(kSlab, grad_pre.cols - first);
        double total[kSlab] = {};
        for (const MatrixView<float>& part : {items, heavy_grad})
          for (int64_t r = 0; r < part.rows; ++r)
            add_row_in_double(part.row(r) + first, total, cols);
        for (int64_t c = 0; c < cols; ++c) grad.bias[first + c] = float(total[c]);
      }
    }
    // grad_W = G^T Z + heavy^T Z_heavy, by panels of its rows
#pragma omp for schedule(static)
    for (int64_t p = 0; p < pieces(grad.weight.rows, panel); ++p) {
      const int64_t first = p * panel;
      const int64_t rows = std::min(panel, grad.weight.rows - first);
      const MatrixView<float> out = grad.weight.rows_from(first, rows);
      gemm_at_b(MatrixView<const float>(items).cols_from(first, rows), z.item, Into::overwrite,
                out);
      if (z.heavy.rows > 0)
        gemm_at_b(MatrixView<const float>(heavy_grad).cols_from(first, rows), z.heavy, Into::add,
                  out);
    }
  }
}

}  // namespace rec::cpu
