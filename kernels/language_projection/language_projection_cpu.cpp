#include <algorithm>
#include <vector>

#include "kernels/common/gemm.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/simd.h"
#include "kernels/language_projection/language_projection.h"

namespace rec::cpu {
namespace {

constexpr int64_t kPanel = 256;       // rows of one GEMM call in the forward pass
constexpr int64_t kWeightPanel = 64;  // rows of the weight's gradient in one GEMM call
constexpr int64_t kSlab = 128;        // columns aggregated at once: all items x 128 stay in L2

// Gathered edges that cost as much as one GEMM row, per language column (docs page, hybrid rows).
constexpr double kEdgesPerLanguageColumn = 0.75;

int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

REC_SIMD_CLONES void scale_and_add(float scale, const float* add, float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] = scale * x[i] + add[i];
}

REC_SIMD_CLONES void scale_row(float scale, float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] *= scale;
}

REC_SIMD_CLONES void add_row(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

REC_SIMD_CLONES void add_row_in_double(const float* x, double* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += double(x[i]);
}

// y = x W^T for many rows, in fixed panels.
void multiply_panels(MatrixView<const float> x, MatrixView<const float> weight, MatrixView<float> y) {
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < pieces(x.rows, kPanel); ++p) {
    const int64_t first = p * kPanel, rows = std::min(kPanel, x.rows - first);
    gemm_a_bt(x.rows_from(first, rows), weight, Into::overwrite, y.rows_from(first, rows));
  }
}

// grad_b: column sums over the items and the users that have training items, in double, by column slab.
void sum_columns(const LanguageView& z, MatrixView<const float> users, MatrixView<const float> items,
                 VectorView<float> sum) {
#pragma omp parallel for schedule(static)
  for (int64_t s = 0; s < pieces(sum.size, kSlab); ++s) {
    const int64_t first = s * kSlab, cols = std::min(kSlab, sum.size - first);
    double total[kSlab] = {};
    for (int64_t i = 0; i < items.rows; ++i) add_row_in_double(items.row(i) + first, total, cols);
    for (const VectorView<const int32_t>& group : {z.light_user, z.heavy_user})
      for (int32_t u : group) add_row_in_double(users.row(u) + first, total, cols);
    for (int64_t c = 0; c < cols; ++c) sum[first + c] = float(total[c]);
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
  const bool has_bias = layer.bias.size > 0;

  multiply_panels(z.item, layer.weight, items);
  std::vector<float> heavy(static_cast<size_t>(z.heavy.rows * pre.cols));
  const MatrixView<float> heavy_pre(heavy.data(), z.heavy.rows, pre.cols);
  multiply_panels(z.heavy, layer.weight, heavy_pre);

  const std::vector<float> no_bias(has_bias ? 0 : static_cast<size_t>(pre.cols), 0.0f);
  const float* bias = has_bias ? layer.bias.data : no_bias.data();
#pragma omp parallel
  {
    for (int64_t first = 0; first < pre.cols; first += kSlab) {
      const int64_t cols = std::min(kSlab, pre.cols - first);
      const MatrixView<const float> slab = items.cols_from(first, cols);
#pragma omp for schedule(dynamic, 16)
      for (int64_t l = 0; l < z.light_user.size; ++l) {
        const int32_t u = z.light_user[l];
        float* out = users.row(u) + first;
        const int64_t degree = graph.items_of_user.degree(u);
        sum_of_rows(slab, graph.items_of_user.row(u), degree, out);
        scale_and_add(1.0f / float(degree), bias + first, out, cols);
      }
    }
#pragma omp for schedule(static)
    for (int64_t h = 0; h < z.heavy.rows; ++h) {
      std::copy_n(heavy_pre.row(h), pre.cols, users.row(z.heavy_user[h]));
      add_row(bias, users.row(z.heavy_user[h]), pre.cols);
    }
#pragma omp for schedule(static)
    for (int64_t u = 0; u < users.rows; ++u)
      if (graph.items_of_user.degree(u) == 0) std::fill_n(users.row(u), pre.cols, 0.0f);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < items.rows; ++i) add_row(bias, items.row(i), pre.cols);
  }
}

void project_language_backward(const LanguageView& z, const GraphView& graph,
                               MatrixView<float> grad_pre, const LinearGradientView& grad) {
  require_language_shapes(z, graph, {grad.weight, grad.bias}, grad_pre.rows, grad_pre.cols);
  const MatrixView<float> users = grad_pre.rows_from(0, graph.users());
  const MatrixView<float> items = grad_pre.rows_from(graph.users(), graph.items());
  if (grad.bias.size > 0) sum_columns(z, users, items, grad.bias);

  std::vector<float> heavy(static_cast<size_t>(z.heavy.rows * grad_pre.cols));
  const MatrixView<float> heavy_grad(heavy.data(), z.heavy.rows, grad_pre.cols);
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t h = 0; h < z.heavy.rows; ++h)
      std::copy_n(users.row(z.heavy_user[h]), grad_pre.cols, heavy_grad.row(h));
    // A light user passes 1/degree of its gradient to each of its items.
#pragma omp for schedule(static)
    for (int64_t l = 0; l < z.light_user.size; ++l) {
      const int32_t u = z.light_user[l];
      scale_row(1.0f / float(graph.items_of_user.degree(u)), users.row(u), grad_pre.cols);
    }
    float sum[kSlab];
    for (int64_t first = 0; first < grad_pre.cols; first += kSlab) {
      const int64_t cols = std::min(kSlab, grad_pre.cols - first);
      const MatrixView<const float> slab = users.cols_from(first, cols);
#pragma omp for schedule(dynamic, 16)
      for (int64_t i = 0; i < items.rows; ++i) {
        sum_of_rows(slab, z.light_users_of_item.row(i), z.light_users_of_item.degree(i), sum);
        add_row(sum, items.row(i) + first, cols);
      }
    }
    // grad_W = G^T Z + heavy^T Z_heavy, by panels of its rows.
#pragma omp for schedule(static)
    for (int64_t p = 0; p < pieces(grad.weight.rows, kWeightPanel); ++p) {
      const int64_t first = p * kWeightPanel;
      const int64_t rows = std::min(kWeightPanel, grad.weight.rows - first);
      const MatrixView<float> out = grad.weight.rows_from(first, rows);
      gemm_at_b(MatrixView<const float>(items).cols_from(first, rows), z.item, Into::overwrite, out);
      if (z.heavy.rows > 0)
        gemm_at_b(MatrixView<const float>(heavy_grad).cols_from(first, rows), z.heavy, Into::add,
                  out);
    }
  }
}

}  // namespace rec::cpu
