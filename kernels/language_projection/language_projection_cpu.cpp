#include <omp.h>

#include <algorithm>
#include <memory>

#include "kernels/common/ceil_div.h"
#include "kernels/common/gemm.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/language_projection/gathered_users.h"
#include "kernels/language_projection/language_projection.h"

namespace rec::cpu {
namespace {

constexpr int64_t kSlab = 64;      // columns aggregated at once: what is gathered stays in L2
constexpr int64_t kRowsAhead = 8;  // scattered rows are asked for this early

// Gathered edges that cost as much as one GEMM row, per language column (docs page, hybrid rows).
constexpr double kEdgesPerLanguageColumn = 0.3;

// Rows of one GEMM call when `rows` are cut into about `panels`. OpenBLAS packs the other operand
// anew for every call, so not few. By the shape alone: how the rows are cut can show in the last
// bits.
int64_t panel_rows(int64_t rows, int64_t panels, int64_t most) {
  constexpr int64_t kStep = 64;  // a multiple of every GEMM kernel's tile
  return std::clamp(ceil_div(ceil_div(rows, panels), kStep) * kStep, kStep, most);
}
int64_t output_panel_rows(int64_t rows) { return panel_rows(rows, 16, 512); }
int64_t weight_panel_rows(int64_t rows) { return panel_rows(rows, 8, 384); }

REC_SIMD_CLONES void add_row_in_double(const float* x, double* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += double(x[i]);
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

// Slabs of kSlab columns, copied so that a slab's rows lie together: in place they are kilobytes
// apart, share few sets of the cache and miss the TLB. One slab for each thread at a time.
class SlabCopies {
 public:
  SlabCopies(int64_t rows, int64_t columns)
      : rows_(rows),
        columns_(columns),
        slabs_(ceil_div(columns, kSlab)),
        together_(std::min<int64_t>(omp_get_max_threads(), slabs_)),
        memory_(make_scratch<float>(together_ * rows * kSlab)) {}

  // For every slab: fill(first column, copy, begin, end) copies sources begin .. end into the copy
  // [rows, up to kSlab], all of them before run(first column, copy, begin, end) makes results begin
  // .. end from it. Every thread of a parallel region calls this; a thread usually runs the slab
  // that it filled.
  template <class Fill, class Run>
  void for_each(int64_t sources, Fill fill, int64_t results, Run run) const {
    for (int64_t first = 0; first < slabs_; first += together_) {
      share_out(first, sources, fill);
      share_out(first, results, run);
    }
  }

 private:
  template <class Visit>
  void share_out(int64_t first, int64_t count, Visit visit) const {
    const int64_t slabs = std::min(together_, slabs_ - first), parts = omp_get_num_threads();
#pragma omp for schedule(static)
    for (int64_t t = 0; t < slabs * parts; ++t) {
      const int64_t slab = t / parts, part = t % parts;
      const int64_t column = (first + slab) * kSlab;
      const MatrixView<float> copy(memory_.get() + slab * rows_ * kSlab, rows_,
                                   std::min(kSlab, columns_ - column));
      visit(column, copy, part * count / parts, (part + 1) * count / parts);
    }
  }

  int64_t rows_, columns_, slabs_, together_;
  Scratch<float> memory_;
};

// For all rows of from; for none where nobody is gathered.
SlabCopies slabs_of(const GatheredUsers& users, MatrixView<const float> from) {
  return {users.count > 0 ? from.rows : 0, from.cols};
}

// out's rows of the gathered users = the means of their items' rows. Every thread of a parallel
// region calls this, and the next two.
void gather_means(const SlabCopies& slabs, const GraphView& graph, const GatheredUsers& users,
                  MatrixView<const float> items, MatrixView<float> out) {
  slabs.for_each(
      users.count > 0 ? items.rows : 0,
      [&](int64_t column, MatrixView<float> copy, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          std::copy_n(items.row(i) + column, copy.cols, copy.row(i));
      },
      users.count,
      [&](int64_t column, MatrixView<const float> copy, int64_t begin, int64_t end) {
        for (int64_t l = begin; l < end; ++l) {
          if (l + kRowsAhead < end)
            ask_ahead_to_write(out.row(users[l + kRowsAhead]) + column, copy.cols);
          const int64_t u = users[l], degree = graph.items_of_user.degree(u);
          if (degree == 0) continue;
          float* mean = out.row(u) + column;
          sum_of_rows(copy, graph.items_of_user.row(u), degree, mean);
          scale_row(1.0f / float(degree), mean, mean, copy.cols);
        }
      });
}

// The rows of users without items, whom nobody gathers.
void clear_rows_without_items(const GraphView& graph, MatrixView<float> users) {
#pragma omp for schedule(static) nowait
  for (int64_t u = 0; u < users.rows; ++u)
    if (graph.items_of_user.degree(u) == 0) std::fill_n(users.row(u), users.cols, 0.0f);
}

// Gathered users pass 1/degree of their rows to each of their items. users_of_item: gathered ones
// alone.
void gather_shares(const SlabCopies& slabs, const GraphView& graph, const GatheredUsers& users,
                   const CsrView& users_of_item, MatrixView<const float> from, Into into,
                   MatrixView<float> items) {
  const bool adds = into == Into::add;
  slabs.for_each(
      users.count,
      [&](int64_t column, MatrixView<float> copy, int64_t begin, int64_t end) {
        for (int64_t l = begin; l < end; ++l) {
          const int64_t u = users[l], degree = graph.items_of_user.degree(u);
          if (degree == 0) continue;  // nobody reads the row
          scale_row(1.0f / float(degree), from.row(u) + column, copy.row(u), copy.cols);
        }
      },
      users.count == 0 && adds ? 0 : items.rows,
      [&](int64_t column, MatrixView<const float> copy, int64_t begin, int64_t end) {
        float sum[kSlab];
        for (int64_t i = begin; i < end; ++i) {
          float* item = items.row(i) + column;
          sum_of_rows(copy, users_of_item.row(i), users_of_item.degree(i), adds ? sum : item);
          if (adds) add_scaled(1.0f, sum, item, copy.cols);
        }
      });
}

}  // namespace

int64_t hybrid_degree(int64_t language_width) {
  return int64_t(kEdgesPerLanguageColumn * double(language_width));
}

int64_t projection_scratch_bytes(int64_t users, int64_t items, int64_t heavy_users, int64_t out) {
  const int64_t together = std::min<int64_t>(omp_get_max_threads(), ceil_div(out, kSlab));
  const int64_t floats = together * std::max(users, items) * kSlab + heavy_users * out;
  return floats * int64_t(sizeof(float));
}

void project_language(const LanguageView& z, const GraphView& graph, const LinearView& layer,
                      MatrixView<float> pre) {
  require_language_shapes(z, graph, layer, pre.rows, pre.cols);
  const MatrixView<float> users = pre.rows_from(0, graph.users());
  const MatrixView<float> items = pre.rows_from(graph.users(), graph.items());
  const auto heavy = make_scratch<float>(z.heavy.rows * pre.cols);
  const MatrixView<float> heavy_pre(heavy.get(), z.heavy.rows, pre.cols);
  const int64_t panel = output_panel_rows(items.rows + z.heavy.rows);
  const int64_t item_panels = ceil_div(items.rows, panel);
  const GatheredUsers light = GatheredUsers::of(z.light_user);
  const SlabCopies slabs = slabs_of(light, items);

#pragma omp parallel
  {
#pragma omp for schedule(dynamic, 1)
    for (int64_t p = 0; p < item_panels + ceil_div(z.heavy.rows, panel); ++p) {
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
    clear_rows_without_items(graph, users);
    // A light user's mean of T + b is the mean of T, plus b.
    gather_means(slabs, graph, light, items, users);
  }
}

void project_language_backward(const LanguageView& z, const GraphView& graph,
                               MatrixView<float> grad_pre, const LinearGradientView& grad) {
  require_language_shapes(z, graph, grad, grad_pre.rows, grad_pre.cols);
  const MatrixView<float> users = grad_pre.rows_from(0, graph.users());
  const MatrixView<float> items = grad_pre.rows_from(graph.users(), graph.items());
  const auto heavy = make_scratch<float>(z.heavy.rows * grad_pre.cols);
  const MatrixView<float> heavy_grad(heavy.get(), z.heavy.rows, grad_pre.cols);
  const GatheredUsers light = GatheredUsers::of(z.light_user);
  const SlabCopies slabs = slabs_of(light, users);
  const int64_t panel = weight_panel_rows(grad.weight.rows);

#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t h = 0; h < z.heavy.rows; ++h)
      std::copy_n(users.row(z.heavy_user[h]), grad_pre.cols, heavy_grad.row(h));

    // G, into the items' rows
    gather_shares(slabs, graph, light, z.light_users_of_item, users, Into::add, items);

    // What the users add to grad_b lies in G as well: their shares of their items add up to 1.
    if (grad.bias.size > 0) {
#pragma omp for schedule(static) nowait
      for (int64_t s = 0; s < ceil_div(grad_pre.cols, kSlab); ++s) {
        const int64_t first = s * kSlab, cols = std::min(kSlab, grad_pre.cols - first);
        double total[kSlab] = {};
        for (const MatrixView<float>& part : {items, heavy_grad})
          for (int64_t r = 0; r < part.rows; ++r)
            add_row_in_double(part.row(r) + first, total, cols);
        for (int64_t c = 0; c < cols; ++c) grad.bias[first + c] = float(total[c]);
      }
    }
    // grad_W = G^T Z + heavy^T Z_heavy, by panels of its rows
#pragma omp for schedule(dynamic, 1)
    for (int64_t p = 0; p < ceil_div(grad.weight.rows, panel); ++p) {
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

void mean_of_items(const GraphView& graph, MatrixView<const float> x, MatrixView<float> out) {
  require_mean_of_items_shapes(graph, x, out);
  const GatheredUsers users = GatheredUsers::everyone(graph);
  const SlabCopies slabs = slabs_of(users, x);
#pragma omp parallel
  {
    clear_rows_without_items(graph, out);
    gather_means(slabs, graph, users, x, out);
  }
}

void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x) {
  require_mean_of_items_shapes(graph, grad_x, grad_out);
  const GatheredUsers users = GatheredUsers::everyone(graph);
  const SlabCopies slabs = slabs_of(users, grad_out);
#pragma omp parallel
  gather_shares(slabs, graph, users, graph.users_of_item, grad_out, Into::overwrite, grad_x);
}

}  // namespace rec::cpu
