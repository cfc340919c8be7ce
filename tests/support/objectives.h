// What the tests of the objectives share: scores in double, the comparison
// of a batch's derivatives with an oracle of one row,
// and the check of that oracle by finite differences.
#pragma once
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/common/exp.h"
#include "kernels/common/threads.h"
#include "kernels/common/views.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/closeness.h"

namespace rec::test {

// The scores of one batch row, and how far a float dot product may be from each.
struct RowScores {
  std::vector<double> value;  // [1 + negatives]
  std::vector<double> error;
};

// One row's loss and its derivative by every score, with bounds for the float answer.
struct RowOracle {
  double loss = 0;
  double loss_error = 0;
  std::vector<double> grad;  // [1 + negatives], 1/B included
  std::vector<double> grad_error;
};

// Products and sums of these are exact in float, in any order: k / 64 with |k| <= 8.
inline void fill_dyadic(GuardedMatrix& matrix, std::mt19937_64& random) {
  std::uniform_int_distribution<int> uniform(-8, 8);
  const MatrixView<float> v = matrix.view();
  for (int64_t r = 0; r < v.rows; ++r)
    for (int64_t c = 0; c < v.cols; ++c) v(r, c) = float(uniform(random)) / 64.0f;
}

// A matrix whose rows are read in one float a load, or in as many as its width allows.
inline GuardedMatrix guarded(int64_t rows, int64_t cols, bool aligned) {
  return aligned ? GuardedMatrix::aligned(rows, cols) : GuardedMatrix(rows, cols);
}

inline void fill_unit_rows(GuardedMatrix& matrix, std::mt19937_64& random) {
  matrix.fill_normal(random);
  const MatrixView<float> v = matrix.view();
  for (int64_t r = 0; r < v.rows; ++r) {
    double square = 0;
    for (int64_t c = 0; c < v.cols; ++c) square += double(v(r, c)) * v(r, c);
    for (int64_t c = 0; c < v.cols; ++c) v(r, c) = float(v(r, c) / std::sqrt(square));
  }
}

inline constexpr double kDropped = 0x1p-99;  // above exp(kSmallestExponent): a weight that became 0

// The softmax of one row against its positive, score 0. weight_error: of a weight in (0, 1],
// relative. The bounds are derived in docs/kernels/info_nce.md.
// loss = log1p(sum_j exp((s_j - s_0) / tau)): long double has the range for it at tau 1e-3.
inline RowOracle contrast(const RowScores& scores, float tau, int64_t batch_rows,
                          double weight_error) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  const auto& s = scores.value;
  double largest = s[0];
  for (double value : s) largest = std::max(largest, value);
  double h = 0;
  for (size_t j = 0; j < s.size(); ++j) {
    const double x = std::min((largest - s[j]) / tau, -double(kSmallestExponent));
    h = std::max(h, scores.error[j] / tau + 2 * kEpsilon * x + weight_error);
  }
  const double relative = std::expm1(2 * h);

  std::vector<long double> weight;
  long double negatives = 0;
  for (size_t j = 1; j < s.size(); ++j) {
    weight.push_back(std::exp((static_cast<long double>(s[j]) - s[0]) / tau));
    negatives += weight.back();
  }
  const double scale = 1.0 / (double(tau) * double(batch_rows));
  const double dropped = kDropped * double(weight.size());
  RowOracle row;
  row.loss = double(std::log1p(negatives));
  row.loss_error = double(negatives / (1 + negatives)) * relative + dropped +
                   16 * std::numeric_limits<double>::epsilon() * row.loss;
  const auto add = [&](double grad, double dropped_here) {
    row.grad.push_back(grad);
    row.grad_error.push_back(std::abs(grad) * (relative + 4 * kEpsilon) + dropped_here * scale);
  };
  add(-double(negatives / (1 + negatives)) * scale, dropped);
  for (long double w : weight) add(double(w / (1 + negatives)) * scale, kDropped);
  return row;
}

inline RowScores score_items(const float* user, MatrixView<const float> item,
                             const std::vector<int32_t>& items, bool exact) {
  RowScores scores;
  for (int32_t i : items) {
    Sum sum;
    for (int64_t c = 0; c < item.cols; ++c) sum.add(double(user[c]) * double(item(i, c)));
    scores.value.push_back(sum.value);
    scores.error.push_back(exact ? 0.0 : rounding_bound(sum));
  }
  return scores;
}

inline RowScores score_row(MatrixView<const float> user, MatrixView<const float> item,
                           const HostBatch& batch, int64_t b, bool exact) {
  std::vector<int32_t> items;
  for (int64_t j = 0; j <= batch.negatives; ++j) items.push_back(batch.item_of(b, j));
  return score_items(user.row(batch.user[size_t(b)]), item, items, exact);
}

// oracle: RowScores -> RowOracle. loss: what the kernel returned.
template <class Oracle>
void check_objective(MatrixView<const float> user, MatrixView<const float> item,
                     const HostBatch& batch, HostBatchGradient& got, double loss, bool exact_scores,
                     Oracle oracle) {
  Agreement scores, rows, losses;
  Sum loss_sum;
  double loss_error = 0;
  for (int64_t b = 0; b < batch.rows(); ++b) {
    const RowOracle want = oracle(score_row(user, item, batch, b, exact_scores));
    losses.compare(got.row_loss[size_t(b)], want.loss, want.loss_error, "row ", b);
    loss_sum.add(want.loss);
    loss_error += want.loss_error;
    for (int64_t j = 0; j <= batch.negatives; ++j)
      scores.compare(got.score.view()(b, j), want.grad[size_t(j)], want.grad_error[size_t(j)],
                     "row ", b, ", slot ", j);
    for (int64_t c = 0; c < user.cols; ++c) {
      Sum sum;
      double carried = 0;
      for (int64_t j = 0; j <= batch.negatives; ++j) {
        const double value = item(batch.item_of(b, j), c);
        sum.add(want.grad[size_t(j)] * value);
        carried += want.grad_error[size_t(j)] * std::abs(value);
      }
      rows.compare(got.user_row.view()(b, c), sum.value, carried + rounding_bound(sum), "row ", b,
                   ", column ", c);
    }
  }
  INFO("derivatives by scores: " << scores.text());
  CHECK(scores.holds());
  INFO("derivatives by users: " << rows.text());
  CHECK(rows.holds());
  INFO("row losses: " << losses.text());
  CHECK(losses.holds());
  const double in_double = 4.0 * double(batch.rows()) * std::numeric_limits<double>::epsilon();
  CHECK(std::abs(loss - loss_sum.value / double(batch.rows())) <=
        loss_error / double(batch.rows()) + in_double * loss_sum.magnitude);
  CHECK(got.score.guards_untouched());
  CHECK(got.user_row.guards_untouched());
}

// call: BatchGradientView -> loss.
template <class Call>
void check_same_bits_of_two_runs(const HostBatch& batch, int64_t dim, Call call) {
  HostBatchGradient one(batch, dim), two(batch, dim);
  const double loss = call(one.view());
  CHECK(call(two.view()) == loss);
  CHECK(same_bits(two.score.view(), one.score.view()));
  CHECK(same_bits(two.user_row.view(), one.user_row.view()));
  CHECK(two.row_loss == one.row_loss);
}

// call: BatchGradientView -> loss.
template <class Call>
void check_same_bits_with_threads(const HostBatch& batch, int64_t dim, Call call) {
  const auto run = [&](int threads, HostBatchGradient& got) {
    const cpu::ThreadsInUse count(threads);
    return call(got.view());
  };
  HostBatchGradient one(batch, dim);
  const double loss = run(1, one);
  for (int threads : {2, 3}) {
    CAPTURE(threads);
    HostBatchGradient more(batch, dim);
    CHECK(run(threads, more) == loss);
    CHECK(same_bits(more.score.view(), one.score.view()));
    CHECK(same_bits(more.user_row.view(), one.user_row.view()));
  }
}

// The oracle's derivatives against its own losses, all in double: along a random direction, two
// central differences and their Richardson extrapolation,
// whose error is below the difference of the two.
template <class Oracle>
void check_oracle_derivative(int64_t negatives, uint64_t seed, Oracle oracle) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, 1.0);
  std::vector<double> score, direction;
  for (int64_t j = 0; j <= negatives; ++j) {
    score.push_back(0.3 * normal(random));
    direction.push_back(normal(random));
  }
  const auto loss_at = [&](double t) {
    RowScores moved;
    for (size_t j = 0; j < score.size(); ++j) {
      moved.value.push_back(score[j] + t * direction[j]);
      moved.error.push_back(0.0);
    }
    return oracle(moved);
  };
  const auto central = [&](double h) { return (loss_at(h).loss - loss_at(-h).loss) / (2 * h); };
  const double h = 1e-3;
  const double coarse = central(h), fine = central(h / 2);
  const RowOracle at = loss_at(0);
  double slope = 0;
  for (size_t j = 0; j < score.size(); ++j) slope += at.grad[j] * direction[j];
  const double rounding = 16 * std::numeric_limits<double>::epsilon() * (1 + std::abs(at.loss)) / h;
  CHECK(std::abs(slope - (4 * fine - coarse) / 3) <= std::abs(fine - coarse) + rounding);
  CHECK(std::abs(fine - coarse) <= 1e-2 * std::abs(slope));  // else the line above says nothing
}

}  // namespace rec::test
