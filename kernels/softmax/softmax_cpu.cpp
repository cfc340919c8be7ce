#include "kernels/softmax/softmax.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

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
int64_t most_panel_rows(int64_t rows, int64_t dim) {
  constexpr int64_t kFloats = int64_t{1} << 17, kFewest = 64, kMost = 2048;
  return std::min(rows, std::clamp(kFloats / std::max<int64_t>(dim, 1), kFewest, kMost));
}
int64_t panel_rows_of(int64_t rows, int64_t dim) {
  if (rows == 0) return 0;
  return ceil_div(rows, ceil_div(rows, most_panel_rows(rows, dim)));
}

// Pairs that are left out of a softmax, a bit each.
struct Pairs {
  VectorView<uint64_t> word;  // [rows, words of a row]; none: no pair is left out
  int64_t words = 0;          // of a row

  void add(int64_t r, int64_t c) const { word[r * words + c / 64] |= uint64_t{1} << c % 64; }
  // f(c - first) for those of row r with c in first .. first + count - 1.
  template <class F>
  void each(int64_t r, int64_t first, int64_t count, F f) const {
    if (word.size == 0) return;
    for (int64_t w = first / 64; w * 64 < first + count; ++w)
      for (uint64_t left = word[r * words + w]; left != 0; left &= left - 1) {
        const int64_t c = w * 64 + std::countr_zero(left) - first;
        if (c >= 0 && c < count) f(c);
      }
  }
};

// Rows of a batch, and the items that stand against their positives.
struct Contest {
  MatrixView<const float> user;       // [rows, dim]
  MatrixView<const float> candidate;  // [candidates, dim]
  const int32_t* positive;            // [rows], numbers of candidates
  const float* times;                 // [candidates], how often each stands there; null: once
  Pairs left_out;                     // [rows, candidates]
  Pairs left_out_by_candidate;        // [candidates, rows]
};

// What both walks, and the rows of the batch, need while a call runs.
struct Memory {
  VectorView<float> packed_rows, packed_columns;  // of a panel
  VectorView<float> tile;                         // [threads, kTileRows, panel]: scores, weights
  VectorView<float> share;                        // [threads, kTileRows, dim]: a panel's sums
  VectorView<int32_t> row;                        // [batch]: the rows of a domain
  VectorView<int32_t> positive;                   // [batch]: theirs, numbers of candidates
  VectorView<float> user, sum;                    // [batch, dim]: their users, weighted sums
  // Of each row: its largest score so far, its positive's, what the weights of its items are
  // multiplied by to be derivatives, and the positive's derivative.
  VectorView<float> largest, positive_score, scale, positive_grad;  // [batch]
  VectorView<double> others;  // [batch]: the sum of all weights but the positive's

  Memory(Carver& carver, int64_t batch, int64_t candidates, int64_t dim) {
    const int64_t panel = most_panel_rows(std::max(candidates, batch), dim);
    const int64_t tile_rows = omp_get_max_threads() * kTileRows;
    packed_rows = carver.take<float>(packed_size(panel, dim));
    packed_columns = carver.take<float>(packed_size(dim, panel));
    tile = carver.take<float>(tile_rows * panel);
    share = carver.take<float>(tile_rows * dim);
    row = carver.take<int32_t>(batch);
    positive = carver.take<int32_t>(batch);
    user = carver.take<float>(batch * dim);
    sum = carver.take<float>(batch * dim);
    for (VectorView<float>* of_row : {&largest, &positive_score, &scale, &positive_grad})
      *of_row = carver.take<float>(batch);
    others = carver.take<double>(batch);
  }
};

// What is known of a batch's positives: the candidates, in the order of their ids.
struct Positives {
  VectorView<int32_t> candidate_of_item;      // [items]; -1: nobody's positive
  VectorView<int32_t> candidate_of_row;       // [batch]
  VectorView<float> times;                    // [candidates]
  VectorView<float> vector, grad;             // [candidates, dim]
  VectorView<uint64_t> of_row, of_candidate;  // words of pairs that are left out

  Positives(Carver& carver, int64_t batch, int64_t items, int64_t dim) {
    const int64_t candidates = std::min(batch, items);
    candidate_of_item = carver.take<int32_t>(items);
    candidate_of_row = carver.take<int32_t>(batch);
    times = carver.take<float>(candidates);
    vector = carver.take<float>(candidates * dim);
    grad = carver.take<float>(candidates * dim);
    of_row = carver.take<uint64_t>(batch * ceil_div(candidates, 64));
    of_candidate = carver.take<uint64_t>(candidates * ceil_div(batch, 64));
  }
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

// score [count]: of one candidate, which stands there so many times, with rows of the batch. Becomes
// d loss / d s.
REC_SIMD_CLONES void candidate_weights(float* score, int64_t count, int32_t candidate, float times,
                                       float factor, const float* largest, const float* scale,
                                       const int32_t* positive, const float* positive_grad) {
#pragma omp simd
  for (int64_t b = 0; b < count; ++b) {
    const float weight = exp_of_nonpositive((score[b] - largest[b]) * factor) * scale[b] * times;
    score[b] = positive[b] == candidate ? positive_grad[b] : weight;
  }
}

// weight[c] *= times[c]; returns their sum, in double
REC_SIMD_CLONES double multiply_weights(float* weight, const float* times, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) weight[c] *= times[c];
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < n; ++c) sum += weight[c];
  return sum;
}

// grad[c] = (sum[c] - others * positive[c]) * scale, in double
REC_SIMD_CLONES void finish_row(const float* sum, const float* positive, int64_t dim, double others,
                                double scale, float* grad) {
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c)
    grad[c] = float((double(sum[c]) - others * double(positive[c])) * scale);
}

// Makes of the contest the loss and own gradient of each of its rows, in grad the memory's row[b],
// and candidate_grad [candidates, dim].
void contrast(const Contest& contest, const TemperatureScales& scales, const Memory& memory,
              const SoftmaxGradientView& grad, MatrixView<float> candidate_grad) {
  const float factor = float(scales.inverse_tau);
  const int64_t rows = contest.user.rows, dim = contest.user.cols;
  const MatrixView<float> own_sum(memory.sum.data, rows, dim);
  std::fill_n(memory.largest.data, rows, kNothing);
  std::fill_n(memory.others.data, rows, 0.0);

  // score[begin .. end - 1] become weights; returns their sum.
  const auto weigh = [&](float* score, int64_t first, int64_t begin, int64_t end, float largest) {
    const double sum = exp_weights(score + begin, end - begin, largest, factor);
    if (contest.times == nullptr) return sum;
    return multiply_weights(score + begin, contest.times + first + begin, end - begin);
  };
  sum_weighted(contest.user, contest.candidate, memory, own_sum,
               [&](int64_t b, float* score, int64_t first, int64_t count) {
                 contest.left_out.each(b, first, count, [&](int64_t c) { score[c] = kNothing; });
                 const float before = memory.largest[b];
                 const float largest = std::max(before, largest_of(score, count));
                 const int64_t positive = contest.positive[b] - first;
                 const bool is_here = positive >= 0 && positive < count;
                 if (largest == kNothing && !is_here) {  // all are left out so far
                   std::fill_n(score, count, 0.0f);
                   return;
                 }
                 if (before != kNothing && largest != before) {
                   const double shrink =
                       std::exp((double(before) - double(largest)) * scales.inverse_tau);
                   memory.others[b] *= shrink;
                   scale_row(float(shrink), own_sum.row(b), own_sum.row(b), dim);
                 }
                 memory.largest[b] = largest;
                 if (!is_here) {
                   memory.others[b] += weigh(score, first, 0, count, largest);
                   return;
                 }
                 memory.positive_score[b] = score[positive];
                 memory.others[b] += weigh(score, first, 0, positive, largest);
                 score[positive] = 0.0f;
                 memory.others[b] += weigh(score, first, positive + 1, count, largest);
               });

#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < rows; ++b) {
    const float largest = memory.largest[b], score = memory.positive_score[b];
    const double others = memory.others[b];
    const double positive = exp_of_nonpositive((score - largest) * factor);
    const double scale = scales.gradient / (positive + others);
    memory.scale[b] = float(scale);
    memory.positive_grad[b] = float(-others * scale);
    finish_row(own_sum.row(b), contest.candidate.row(contest.positive[b]), dim, others, scale,
               grad.user_row.row(memory.row[b]));
    // Where the positive is the largest, positive - 1 is exactly 0 and no digit is lost.
    grad.row_loss[memory.row[b]] = (double(largest) - double(score)) * scales.inverse_tau +
                                   std::log1p(others + (positive - 1.0));
  }

  sum_weighted(contest.candidate, contest.user, memory, candidate_grad,
               [&](int64_t i, float* score, int64_t first, int64_t count) {
                 candidate_weights(score, count, int32_t(i),
                                   contest.times == nullptr ? 1.0f : contest.times[i], factor,
                                   memory.largest.data + first, memory.scale.data + first,
                                   contest.positive + first, memory.positive_grad.data + first);
                 contest.left_out_by_candidate.each(i, first, count,
                                                    [&](int64_t b) { score[b] = 0.0f; });
               });
}

// The rows of a domain's users and copies of these, [rows, dim]: in the batch's order where there is
// one domain, else by user.
MatrixView<const float> gather_rows(const BatchView& batch, MatrixView<const float> user,
                                    VectorView<const DomainStart> domains, const DomainStart& start,
                                    const DomainStart& end, const Memory& memory) {
  int64_t rows = batch.rows();
  if (!are_several(domains)) {
    std::iota(memory.row.begin(), memory.row.end(), 0);
  } else {
    const int64_t first = batch.user_start[start.user];
    rows = batch.user_start[end.user] - first;
    std::copy_n(batch.user_row.data + first, rows, memory.row.data);
  }
  const MatrixView<float> own(memory.user.data, rows, user.cols);
  for (int64_t b = 0; b < rows; ++b)
    std::copy_n(user.row(batch.user[memory.row[b]]), own.cols, own.row(b));
  return own;
}

double mean_of(VectorView<const double> row_loss) {
  if (row_loss.size == 0) return 0.0;
  double loss = 0.0;
  for (double of_row : row_loss) loss += of_row;
  return loss / double(row_loss.size);
}

void fill_with_zeros(MatrixView<float> m) {
  for (int64_t r = 0; r < m.rows; ++r) std::fill_n(m.row(r), m.cols, 0.0f);
}

// Numbers the items from start to end that are positives; returns how many there are.
int64_t find_candidates(const BatchView& batch, MatrixView<const float> item,
                        const DomainStart& start, const DomainStart& end,
                        const Positives& positives) {
  const CsrView uses = batch.uses_of_item();
  const int64_t slots = 1 + batch.negatives();
  int64_t candidates = 0;
  for (int64_t i = start.item; i < end.item; ++i) {
    int64_t times = 0;
    for (const int32_t* use = uses.row(i); use < uses.row(i + 1); ++use) {
      if (*use % slots != 0) continue;
      positives.candidate_of_row[*use / slots] = int32_t(candidates);
      ++times;
    }
    positives.candidate_of_item[i] = times > 0 ? int32_t(candidates) : -1;
    if (times == 0) continue;
    positives.times[candidates] = float(times);
    std::copy_n(item.row(i), item.cols, positives.vector.data + candidates * item.cols);
    ++candidates;
  }
  return candidates;
}

// The candidates that the user of each of the memory's rows has, but for the row's positive.
void leave_out_own_items(const BatchView& batch, CsrView items_of_user, const Memory& memory,
                         const Positives& positives, const Pairs& of_row, const Pairs& of_candidate,
                         int64_t rows) {
  std::fill(of_row.word.begin(), of_row.word.end(), uint64_t{0});
  std::fill(of_candidate.word.begin(), of_candidate.word.end(), uint64_t{0});
  // 64 rows are a word of every candidate's: nobody else writes it.
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t group = 0; group < of_candidate.words; ++group)
    for (int64_t b = 64 * group; b < std::min(64 * (group + 1), rows); ++b) {
      const int32_t user = batch.user[memory.row[b]];
      for (int64_t e = 0; e < items_of_user.degree(user); ++e) {
        const int32_t candidate = positives.candidate_of_item[items_of_user.row(user)[e]];
        if (candidate < 0 || candidate == memory.positive[b]) continue;
        of_row.add(b, candidate);
        of_candidate.add(candidate, b);
      }
    }
}

}  // namespace

int64_t softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim) {
  Carver carver(nullptr);
  Memory(carver, batch, items, dim);
  return carver.bytes();
}

int64_t in_batch_softmax_scratch_bytes(int64_t batch, int64_t items, int64_t dim) {
  Carver carver(nullptr);
  Memory(carver, batch, std::min(batch, items), dim);
  Positives(carver, batch, items, dim);
  return carver.bytes();
}

double softmax(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
               VectorView<const DomainStart> domains, float tau, const SoftmaxGradientView& grad) {
  require_softmax(user, item, batch, domains, tau, grad);
  const TemperatureScales scales = temperature_scales(tau, batch.rows());
  const auto scratch =
      make_scratch<std::byte>(softmax_scratch_bytes(batch.rows(), item.rows, item.cols));
  Carver carver(scratch.get());
  const Memory memory(carver, batch.rows(), item.rows, item.cols);
  for_each_domain(
      domains, user.rows, item.rows, [&](const DomainStart& start, const DomainStart& end) {
        const auto own = gather_rows(batch, user, domains, start, end, memory);
        const int64_t items = end.item - start.item;
        const MatrixView<float> item_grad = grad.item.rows_from(start.item, items);
        if (own.rows == 0) return fill_with_zeros(item_grad);
        for (int64_t b = 0; b < own.rows; ++b)
          memory.positive[b] = int32_t(batch.positive[memory.row[b]] - start.item);
        contrast({own, item.rows_from(start.item, items), memory.positive.data, nullptr, {}, {}},
                 scales, memory, grad, item_grad);
      });
  return mean_of(grad.row_loss);
}

double in_batch_softmax(MatrixView<const float> user, MatrixView<const float> item,
                        const BatchView& batch, CsrView items_of_user,
                        VectorView<const DomainStart> domains, float tau,
                        const SoftmaxGradientView& grad) {
  require_in_batch_softmax(user, item, batch, items_of_user, domains, tau, grad);
  const int64_t dim = item.cols;
  const TemperatureScales scales = temperature_scales(tau, batch.rows());
  const auto scratch =
      make_scratch<std::byte>(in_batch_softmax_scratch_bytes(batch.rows(), item.rows, dim));
  Carver carver(scratch.get());
  const Memory memory(carver, batch.rows(), std::min(batch.rows(), item.rows), dim);
  const Positives positives(carver, batch.rows(), item.rows, dim);
  for_each_domain(
      domains, user.rows, item.rows, [&](const DomainStart& start, const DomainStart& end) {
        const auto own = gather_rows(batch, user, domains, start, end, memory);
        const MatrixView<float> item_grad = grad.item.rows_from(start.item, end.item - start.item);
        if (own.rows == 0) return fill_with_zeros(item_grad);
        const int64_t candidates = find_candidates(batch, item, start, end, positives);
        for (int64_t b = 0; b < own.rows; ++b)
          memory.positive[b] = positives.candidate_of_row[memory.row[b]];
        const int64_t row_words = ceil_div(candidates, 64);
        const int64_t candidate_words = ceil_div(own.rows, 64);
        const Pairs of_row{{positives.of_row.data, own.rows * row_words}, row_words};
        const Pairs of_candidate{{positives.of_candidate.data, candidates * candidate_words},
                                 candidate_words};
        leave_out_own_items(batch, items_of_user, memory, positives, of_row, of_candidate,
                            own.rows);
        const MatrixView<float> candidate_grad(positives.grad.data, candidates, dim);
        contrast({own,
                  {positives.vector.data, candidates, dim},
                  memory.positive.data,
                  positives.times.data,
                  of_row,
                  of_candidate},
                 scales, memory, grad, candidate_grad);
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < item_grad.rows; ++i) {
          const int32_t candidate = positives.candidate_of_item[start.item + i];
          if (candidate < 0)
            std::fill_n(item_grad.row(i), dim, 0.0f);
          else
            std::copy_n(candidate_grad.row(candidate), dim, item_grad.row(i));
        }
      });
  return mean_of(grad.row_loss);
}

}  // namespace rec::cpu
