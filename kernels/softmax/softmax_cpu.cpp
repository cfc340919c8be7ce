#include "kernels/softmax/softmax.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/exp.h"
#include "kernels/common/packed_product.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/common/temperature.h"

namespace rec::cpu {
namespace {

constexpr int64_t kTileRows = 48;  // vectors of a tile: four blocks of the packed product
constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Vectors that are packed together, the same for any number of threads: a tile's scores and the
// panel, packed twice, stay in L2.
int64_t panel_rows_of(int64_t rows, int64_t dim) {
  constexpr int64_t kFloats = int64_t{1} << 17, kFewest = 64, kMost = 2048;
  const int64_t most = std::clamp(kFloats / std::max<int64_t>(dim, 1), kFewest, kMost);
  return ceil_div(rows, std::max<int64_t>(1, ceil_div(rows, most)));
}

// What both walks, and the rows of the batch, need while a call runs.
struct Memory {
  VectorView<float> packed_rows, packed_columns;  // of a panel
  VectorView<float> tile;                         // [threads, kTileRows, panel]: scores, weights
  VectorView<float> share;                        // [threads, kTileRows, dim]: a panel's sums
  VectorView<float> user;                         // [batch, dim]: the batch's users
  // Of each row: its largest score so far, its positive's, what the weights of its items are
  // multiplied by to be derivatives, and the positive's derivative.
  VectorView<float> largest, positive_score, scale, positive_grad;  // [batch]
  VectorView<double> others;  // [batch]: the sum of all weights but the positive's

  Memory(Carver carver, int64_t batch, int64_t items, int64_t dim) {
    const int64_t panel = std::max(panel_rows_of(items, dim), panel_rows_of(batch, dim));
    const int64_t tile_rows = omp_get_max_threads() * kTileRows;
    packed_rows = carver.take<float>(packed_size(panel, dim));
    packed_columns = carver.take<float>(packed_size(dim, panel));
    tile = carver.take<float>(tile_rows * panel);
    share = carver.take<float>(tile_rows * dim);
    user = carver.take<float>(batch * dim);
    for (VectorView<float>* of_row : {&largest, &positive_score, &scale, &positive_grad})
      *of_row = carver.take<float>(batch);
    others = carver.take<double>(batch);
    bytes = carver.bytes();
  }
  int64_t bytes = 0;
};

// sum [own rows, dim] = sum over all vectors of `other` of weight(own, other) * vector, for each of
// `own`: a panel of `other` and a tile of `own` at a time.
//
// weigh(r, score, first, count): score [count], the scores of own row r with the rows of `other`
// from `first` on, becomes their weights; sum.row(r) holds what came before. Called for the panels
// in order; from several threads, but for one row by one at a time.
template <class Weigh>
void sum_weighted(MatrixView<const float> own, MatrixView<const float> other, const Memory& memory,
                  MatrixView<float> sum, Weigh weigh) {
  const int64_t dim = own.cols, panel_rows = panel_rows_of(other.rows, dim);
  const int64_t tiles = ceil_div(own.rows, kTileRows);
#pragma omp parallel
  {
    float* const scores = memory.tile.data + omp_get_thread_num() * kTileRows * panel_rows;
    float* const shares = memory.share.data + omp_get_thread_num() * kTileRows * dim;
    for (int64_t first = 0; first < other.rows; first += panel_rows) {
      const int64_t count = std::min(panel_rows, other.rows - first);
      const MatrixView<const float> panel = other.rows_from(first, count);
#pragma omp for schedule(static) nowait
      for (int64_t s = 0; s < ceil_div(count, strip_rows()); ++s)
        pack_strip(panel, s, memory.packed_rows.data);
#pragma omp for schedule(static)
      for (int64_t r = 0; r < count; ++r) pack_row(panel, r, memory.packed_columns.data);

#pragma omp for schedule(dynamic, 1)
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t row = t * kTileRows, rows = std::min(kTileRows, own.rows - row);
        const MatrixView<float> score(scores, rows, count), share(shares, rows, dim);
        multiply_packed(own.rows_from(row, rows), {memory.packed_rows.data, count, dim}, score);
        for (int64_t r = 0; r < rows; ++r) weigh(row + r, score.row(r), first, count);
        multiply_packed(score, {memory.packed_columns.data, dim, count},
                        first == 0 ? sum.rows_from(row, rows) : share);
        if (first == 0) continue;
        for (int64_t r = 0; r < rows; ++r) add_scaled(1.0f, share.row(r), sum.row(row + r), dim);
      }
    }
  }
}

// score [count]: of one item with rows of the batch. Becomes d loss / d s.
REC_SIMD_CLONES void item_weights(float* score, int64_t count, int32_t item, float factor,
                                  const float* largest, const float* scale, const int32_t* positive,
                                  const float* positive_grad) {
#pragma omp simd
  for (int64_t b = 0; b < count; ++b) {
    const float weight = exp_of_nonpositive((score[b] - largest[b]) * factor) * scale[b];
    score[b] = positive[b] == item ? positive_grad[b] : weight;
  }
}

// sum[c] = (sum[c] - others * positive[c]) * scale, in double
REC_SIMD_CLONES void finish_row(float* sum, const float* positive, int64_t dim, double others,
                                double scale) {
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c)
    sum[c] = float((double(sum[c]) - others * double(positive[c])) * scale);
}

}  // namespace

int64_t softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim) {
  return Memory(Carver(nullptr), batch, items, dim).bytes;
}

double softmax(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
               float tau, const SoftmaxGradientView& grad) {
  require_softmax(user, item, batch, tau, grad);
  const TemperatureScales scales = temperature_scales(tau, batch.rows());
  const float factor = float(scales.inverse_tau);
  const int64_t rows = batch.rows(), dim = user.cols;
  if (rows == 0) {
    for (int64_t i = 0; i < item.rows; ++i) std::fill_n(grad.item.row(i), dim, 0.0f);
    return 0.0;
  }
  const auto scratch = make_scratch<std::byte>(softmax_scratch_bytes(rows, item.rows, dim));
  const Memory memory(Carver(scratch.get()), rows, item.rows, dim);
  const MatrixView<float> own_user(memory.user.data, rows, dim);
  for (int64_t b = 0; b < rows; ++b) std::copy_n(user.row(batch.user[b]), dim, own_user.row(b));
  std::fill_n(memory.largest.data, rows, kNothing);
  std::fill_n(memory.others.data, rows, 0.0);

  sum_weighted(own_user, item, memory, grad.user_row,
               [&](int64_t b, float* score, int64_t first, int64_t count) {
                 const float before = memory.largest[b];
                 const float largest = std::max(before, largest_of(score, count));
                 if (before != kNothing && largest != before) {
                   const double shrink =
                       std::exp((double(before) - double(largest)) * scales.inverse_tau);
                   memory.others[b] *= shrink;
                   scale_row(float(shrink), grad.user_row.row(b), grad.user_row.row(b), dim);
                 }
                 memory.largest[b] = largest;
                 const int64_t positive = batch.positive[b] - first;
                 if (positive < 0 || positive >= count) {
                   memory.others[b] += exp_weights(score, count, largest, factor);
                   return;
                 }
                 memory.positive_score[b] = score[positive];
                 memory.others[b] += exp_weights(score, positive, largest, factor);
                 score[positive] = 0.0f;
                 memory.others[b] +=
                     exp_weights(score + positive + 1, count - positive - 1, largest, factor);
               });

#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < rows; ++b) {
    const float largest = memory.largest[b], score = memory.positive_score[b];
    const double others = memory.others[b];
    const double positive = exp_of_nonpositive((score - largest) * factor);
    const double scale = scales.gradient / (positive + others);
    memory.scale[b] = float(scale);
    memory.positive_grad[b] = float(-others * scale);
    finish_row(grad.user_row.row(b), item.row(batch.positive[b]), dim, others, scale);
    // Where the positive is the largest, positive - 1 is exactly 0 and no digit is lost.
    grad.row_loss[b] = (double(largest) - double(score)) * scales.inverse_tau +
                       std::log1p(others + (positive - 1.0));
  }

  sum_weighted(item, own_user, memory, grad.item,
               [&](int64_t i, float* score, int64_t first, int64_t count) {
                 item_weights(score, count, int32_t(i), factor, memory.largest.data + first,
                              memory.scale.data + first, batch.positive.data + first,
                              memory.positive_grad.data + first);
               });

  double loss = 0.0;
  for (double row_loss : grad.row_loss) loss += row_loss;
  return loss / double(rows);
}

}  // namespace rec::cpu
