// info_nce against plain sums in extended precision. The bounds are derived in
// docs/kernels/info_nce.md.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/common/exp.h"
#include "kernels/info_nce/info_nce.h"
#include "tests/support/objectives.h"

namespace rec::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr double kDropped = 0x1p-99;  // above exp(kSmallestExponent): a weight that became 0
const float kTaus[] = {0.2f, 0.15f, 0.05f, 0.01f, 1e-3f};

// loss = log1p(sum_j exp((s_j - s_0) / tau)): long double has the range for it at tau 1e-3.
RowOracle contrast(const RowScores& scores, float tau, int64_t batch_rows) {
  const auto& s = scores.value;
  double largest = s[0];
  for (double value : s) largest = std::max(largest, value);
  double h = 0;
  for (size_t j = 0; j < s.size(); ++j) {
    const double x = std::min((largest - s[j]) / tau, -double(kSmallestExponent));
    h = std::max(h, scores.error[j] / tau + 2 * kEpsilon * x + kEpsilon);
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

void check_case(const GuardedMatrix& user, const GuardedMatrix& item, HostBatch& batch, float tau,
                bool exact_scores) {
  CAPTURE(batch.name, tau, user.view().cols);
  HostBatchGradient got(batch, user.view().cols);
  const double loss = cpu::info_nce(user.view(), item.view(), batch.view(), tau, got.view());
  check_objective(user.view(), item.view(), batch, got, loss, exact_scores,
                  [&](const RowScores& s) { return contrast(s, tau, batch.rows()); });
}

std::vector<HostBatch> batches() {
  std::vector<HostBatch> all;
  all.push_back(random_batch("one row, one negative", 2, 5, 1, 1, 1));
  all.push_back(random_batch("items repeat within rows, users between rows", 3, 4, 21, 19, 2));
  all.push_back(random_batch("one item only: every score equal", 4, 1, 5, 16, 3));
  all.push_back(random_batch("256 negatives", 40, 70, 33, 256, 4));
  return all;
}

// Every batch, width and tau, with the rows of users and items made by fill.
void check_batches(void (*fill)(GuardedMatrix&, std::mt19937_64&), bool exact_scores) {
  for (HostBatch& batch : batches())
    for (int64_t dim : {1, 31, 32, 33, 64, 200})
      for (float tau : kTaus) {
        std::mt19937_64 random(7);
        GuardedMatrix user(batch.users, dim), item(batch.items, dim);
        fill(user, random);
        fill(item, random);
        check_case(user, item, batch, tau, exact_scores);
      }
}

}  // namespace

// docs/kernels/info_nce.md, "A small example"
TEST_CASE("info_nce: the example worked by hand", "[kernels]") {
  HostBatch batch = make_batch("hand", 1, 4, 3, {0}, {0}, {1, 2, 3});
  GuardedMatrix user(1, 2), item(4, 2);
  user.view()(0, 0) = 1, user.view()(0, 1) = 0;
  const float second[] = {1, 2, -1, 1};
  for (int64_t i = 0; i < 4; ++i) item.view()(i, 0) = 0, item.view()(i, 1) = second[i];
  HostBatchGradient got(batch, 2);
  const double loss = cpu::info_nce(user.view(), item.view(), batch.view(), 0.5f, got.view());
  CHECK(std::abs(loss - std::log(4.0)) < 1e-15);
  CHECK(got.score.view()(0, 0) == -1.5f);
  for (int64_t j = 1; j <= 3; ++j) CHECK(got.score.view()(0, j) == 0.5f);
  CHECK(got.user_row.view()(0, 0) == 0.0f);
  CHECK(got.user_row.view()(0, 1) == -0.5f);
}

TEST_CASE("info_nce: matches plain sums on unit rows", "[kernels]") {
  check_batches(fill_unit_rows, false);
}

TEST_CASE("info_nce: matches plain sums tightly where scores are exact", "[kernels]") {
  check_batches(fill_dyadic, true);
}

TEST_CASE("info_nce: scores at and slightly above 1, and a positive that has nearly won",
          "[kernels]") {
  // Scores of user (1, 0): exactly the items' first column.
  const float first[] = {1.0000002f, 1.0f, 0.99999994f, -1.0f, -1.0000002f, 0.5f};
  GuardedMatrix user(1, 2), item(6, 2);
  user.view()(0, 0) = 1, user.view()(0, 1) = 0;
  for (int64_t i = 0; i < 6; ++i) item.view()(i, 0) = first[i], item.view()(i, 1) = 0.25f;
  std::vector<HostBatch> cases;
  cases.push_back(make_batch("positive above 1", 1, 6, 3, {0}, {0}, {1, 2, 5}));
  cases.push_back(make_batch("negative above 1", 1, 6, 3, {0}, {2}, {0, 1, 5}));
  cases.push_back(make_batch("positive won", 1, 6, 3, {0}, {0}, {3, 4, 3}));
  cases.push_back(make_batch("positive lost", 1, 6, 3, {0}, {4}, {0, 0, 5}));
  for (HostBatch& batch : cases)
    for (float tau : kTaus) check_case(user, item, batch, tau, true);
}

TEST_CASE("info_nce: finite for the smallest tau there is", "[kernels]") {
  HostBatch batch = random_batch("smallest tau", 3, 9, 12, 5, 5);
  std::mt19937_64 random(9);
  GuardedMatrix user(3, 8), item(9, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  for (float tau :
       {1e-20f, std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()}) {
    CAPTURE(tau);
    HostBatchGradient got(batch, 8);
    CHECK(std::isfinite(cpu::info_nce(user.view(), item.view(), batch.view(), tau, got.view())));
    for (int64_t b = 0; b < batch.rows(); ++b)
      for (int64_t j = 0; j <= batch.negatives; ++j) CHECK(std::isfinite(got.score.view()(b, j)));
  }
}

TEST_CASE("info_nce: a NaN shows in the loss", "[kernels]") {
  HostBatch batch = random_batch("NaN", 2, 3, 4, 40, 6);
  std::mt19937_64 random(10);
  GuardedMatrix user(2, 5), item(3, 5);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  item.view()(1, 2) = std::numeric_limits<float>::quiet_NaN();
  HostBatchGradient got(batch, 5);
  CHECK(std::isnan(cpu::info_nce(user.view(), item.view(), batch.view(), 0.15f, got.view())));
}

TEST_CASE("info_nce: the oracle's derivative is the derivative of its loss", "[kernels]") {
  for (float tau : {0.2f, 0.15f, 0.05f})
    for (int64_t negatives : {1, 7, 256}) {
      CAPTURE(tau, negatives);
      check_oracle_derivative(negatives, 11,
                              [&](const RowScores& s) { return contrast(s, tau, 1); });
    }
}

TEST_CASE("info_nce: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 50, 60, 97, 31, 12);
  std::mt19937_64 random(13);
  GuardedMatrix user(50, 33), item(60, 33);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  check_same_bits_with_threads(batch, 33, [&](const BatchGradientView& got) {
    return cpu::info_nce(user.view(), item.view(), batch.view(), 0.15f, got);
  });
}

TEST_CASE("info_nce: refuses wrong use", "[kernels]") {
  HostBatch batch = random_batch("refused", 3, 4, 6, 2, 14);
  GuardedMatrix user(3, 8), item(4, 8), narrow(4, 7);
  HostBatchGradient got(batch, 8), wrong(batch, 7);
  for (float tau : {0.0f, -0.1f, std::numeric_limits<float>::quiet_NaN()})
    CHECK_THROWS_AS(cpu::info_nce(user.view(), item.view(), batch.view(), tau, got.view()),
                    std::invalid_argument);
  CHECK_THROWS_AS(cpu::info_nce(user.view(), narrow.view(), batch.view(), 0.1f, got.view()),
                  std::invalid_argument);
  CHECK_THROWS_AS(cpu::info_nce(user.view(), item.view(), batch.view(), 0.1f, wrong.view()),
                  std::invalid_argument);
}

TEST_CASE("exp_of_nonpositive: within epsilon of exp", "[kernels]") {
  CHECK(exp_of_nonpositive(0.0f) == 1.0f);
  CHECK(exp_of_nonpositive(-0.0f) == 1.0f);
  CHECK(exp_of_nonpositive(std::nextafter(kSmallestExponent, -100.0f)) == 0.0f);
  CHECK(exp_of_nonpositive(-3e38f) == 0.0f);
  CHECK(exp_of_nonpositive(-std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(std::isnan(exp_of_nonpositive(std::numeric_limits<float>::quiet_NaN())));
  Agreement agreement;
  const uint32_t last = std::bit_cast<uint32_t>(kSmallestExponent);
  for (uint32_t bits = std::bit_cast<uint32_t>(-1e-9f); bits <= last; bits += 499) {
    const float x = std::bit_cast<float>(bits);
    const double want = std::exp(double(x));
    agreement.compare(exp_of_nonpositive(x), want, kEpsilon * want, "x = ", x);
  }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

}  // namespace rec::test
