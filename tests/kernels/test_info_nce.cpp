// info_nce against plain sums in extended precision. The bounds are derived in
// docs/kernels/info_nce.md.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/exp.h"
#include "kernels/info_nce/info_nce.h"
#include "tests/support/objectives.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

struct InfoNce {
  std::string backend;
  std::function<void(MatrixView<const float>, MatrixView<const float>, const BatchView&, float,
                     const BatchGradientView&, double*)>
      add_loss;
  double exp_error;  // of a weight in (0, 1], relative

  double run(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             float tau, const BatchGradientView& grad) const {
    Values<double> loss = {0.0};
    add_loss(user, item, batch, tau, grad, loss.data());
    return loss[0];
  }
};
std::vector<InfoNce> backends() {
  return on_backends<InfoNce>(
      [] {
        return InfoNce{"cpu",
                       [](auto user, auto item, auto& batch, float tau, auto& grad, double* loss) {
                         *loss += cpu::info_nce(user, item, batch, tau, grad);
                       },
                       kEpsilon};
      },
      [](auto) {
        // CUDA's expf is within 2 units in the last place.
        return InfoNce{"cuda", on_device(cuda::info_nce), 2 * kEpsilon};
      });
}

const float kTaus[] = {0.2f, 0.15f, 0.05f, 0.01f, 1e-3f};

void check_case(const InfoNce& on, const GuardedMatrix& user, const GuardedMatrix& item,
                HostBatch& batch, float tau, bool exact_scores) {
  CAPTURE(batch.name, tau, user.view().cols);
  HostBatchGradient got(batch, user.view().cols);
  const double loss = on.run(user.view(), item.view(), batch.view(), tau, got.view());
  check_objective(user.view(), item.view(), batch, got, loss, exact_scores,
                  [&](const RowScores& s) { return contrast(s, tau, batch.rows(), on.exp_error); });
}

// Every width and tau, with the rows of users and items made by fill.
void check_batch(const InfoNce& on, HostBatch batch, bool aligned, std::vector<int64_t> dims,
                 std::vector<float> taus, void (*fill)(GuardedMatrix&, std::mt19937_64&),
                 bool exact_scores) {
  for (int64_t dim : dims)
    for (float tau : taus) {
      CAPTURE(aligned);
      std::mt19937_64 random(7);
      GuardedMatrix user = guarded(batch.users, dim, aligned);
      GuardedMatrix item = guarded(batch.items, dim, aligned);
      fill(user, random);
      fill(item, random);
      check_case(on, user, item, batch, tau, exact_scores);
    }
}

void check_batches(const InfoNce& on, void (*fill)(GuardedMatrix&, std::mt19937_64&),
                   bool exact_scores) {
  const std::vector<float> taus(std::begin(kTaus), std::end(kTaus));
  for (bool aligned : {false, true}) {
    const auto check = [&](HostBatch batch, std::vector<int64_t> dims, std::vector<float> some) {
      check_batch(on, std::move(batch), aligned, dims, some, fill, exact_scores);
    };
    const std::vector<int64_t> dims = {1, 31, 32, 33, 64, 200};
    check(random_batch("one row, one negative", 2, 5, 1, 1, 1), dims, taus);
    check(random_batch("items repeat within rows, users between rows", 3, 4, 21, 19, 2), dims,
          on.backend == "cpu" ? taus : std::vector<float>{0.15f, 0.01f});
    check(random_batch("one item only: every score equal", 4, 1, 5, 16, 3), dims, taus);
    if (on.backend == "cpu") {
      check(random_batch("256 negatives", 40, 70, 33, 256, 4), dims, taus);
    } else {
      // A thread a lane takes its time. The tiles of a GPU: rows held in full, in part, not at all.
      check(random_batch("256 negatives", 40, 70, 3, 256, 4), {12, 33, 64, 66, 128, 132, 200},
            {0.15f});
      check(random_batch("271 and 272 candidates in pairs of rows", 40, 70, 1, 271, 8), {64},
            {0.15f});
      check(random_batch("the last tile half empty", 40, 70, 1, 272, 8), {64}, {0.15f});
      check(random_batch("fewer negatives than a tile has rows", 5, 7, 2, 2, 9), {4, 32}, {0.15f});
      check(random_batch("one candidate in the last tiles", 5, 7, 2, 32, 10), {32}, {0.15f});
    }
  }
}

}  // namespace

// docs/kernels/info_nce.md, "A small example"
TEST_CASE("info_nce: the example worked by hand", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("hand", 1, 4, 3, {0}, {0}, {1, 2, 3});
  GuardedMatrix user(1, 2), item(4, 2);
  user.view()(0, 0) = 1, user.view()(0, 1) = 0;
  const float second[] = {1, 2, -1, 1};
  for (int64_t i = 0; i < 4; ++i) item.view()(i, 0) = 0, item.view()(i, 1) = second[i];
  HostBatchGradient got(batch, 2);
  const double loss = on.run(user.view(), item.view(), batch.view(), 0.5f, got.view());
  CHECK(std::abs(loss - std::log(4.0)) < 1e-15);
  CHECK(got.score.view()(0, 0) == -1.5f);
  for (int64_t j = 1; j <= 3; ++j) CHECK(got.score.view()(0, j) == 0.5f);
  CHECK(got.user_row.view()(0, 0) == 0.0f);
  CHECK(got.user_row.view()(0, 1) == -0.5f);
}

TEST_CASE("info_nce: matches plain sums on unit rows", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  check_batches(on, fill_unit_rows, false);
}

TEST_CASE("info_nce: matches plain sums tightly where scores are exact", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  check_batches(on, fill_dyadic, true);
}

TEST_CASE("info_nce: scores at and slightly above 1, and a positive that has nearly won",
          "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
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
    for (float tau : kTaus) check_case(on, user, item, batch, tau, true);
}

TEST_CASE("info_nce: finite for the smallest tau there is", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("smallest tau", 3, 9, 12, 5, 5);
  std::mt19937_64 random(9);
  GuardedMatrix user(3, 8), item(9, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  for (float tau :
       {1e-20f, std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()}) {
    CAPTURE(tau);
    HostBatchGradient got(batch, 8);
    CHECK(std::isfinite(on.run(user.view(), item.view(), batch.view(), tau, got.view())));
    for (int64_t b = 0; b < batch.rows(); ++b)
      for (int64_t j = 0; j <= batch.negatives; ++j) CHECK(std::isfinite(got.score.view()(b, j)));
  }
}

TEST_CASE("info_nce: a NaN shows in the loss", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("NaN", 2, 3, 4, 40, 6);
  std::mt19937_64 random(10);
  GuardedMatrix user(2, 5), item(3, 5);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  item.view()(1, 2) = std::numeric_limits<float>::quiet_NaN();
  HostBatchGradient got(batch, 5);
  CHECK(std::isnan(on.run(user.view(), item.view(), batch.view(), 0.15f, got.view())));
}

TEST_CASE("info_nce: the oracle's derivative is the derivative of its loss", "[kernels]") {
  for (float tau : {0.2f, 0.15f, 0.05f})
    for (int64_t negatives : {1, 7, 256}) {
      CAPTURE(tau, negatives);
      check_oracle_derivative(negatives, 11,
                              [&](const RowScores& s) { return contrast(s, tau, 1, 0); });
    }
}

TEST_CASE("info_nce: more scores than shared memory holds", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("8193 candidates", 2, 50, 2, 8192, 15);
  std::mt19937_64 random(16);
  GuardedMatrix user = guarded(2, 4, true), item = guarded(50, 4, true);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  check_case(on, user, item, batch, 0.15f, false);
}

// Arrays that end with their last value: AddressSanitizer reports what is read after it.
TEST_CASE("info_nce: touches nothing past the arrays", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (int64_t dim : {31, 33, 60, 66, 132}) {
    CAPTURE(dim);
    HostBatch batch =
        make_batch("last user, last item", 2, 3, 3, {1, 0}, {2, 2}, {2, 1, 2, 0, 2, 2});
    const Values<float> user(size_t(2 * dim), 0.125f), item(size_t(3 * dim), 0.125f);
    Values<float> score(8), user_row(size_t(2 * dim));
    Values<double> row_loss(2);
    BatchGradientView got;
    got.score = {score.data(), 2, 4};
    got.user_row = {user_row.data(), 2, dim};
    got.row_loss = {row_loss.data(), 2};
    const double loss =
        on.run({user.data(), 2, dim}, {item.data(), 3, dim}, batch.view(), 0.15f, got);
    CHECK(std::abs(loss - std::log(4.0)) < 1e-15);  // all scores are equal
  }
}

TEST_CASE("info_nce: the loss is added, and is nothing without rows", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("added", 3, 9, 300, 2, 19), none = batch;
  none.user.clear(), none.positive.clear(), none.negative.clear();
  std::mt19937_64 random(20);
  GuardedMatrix user(3, 8), item(9, 8);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  HostBatchGradient got(batch, 8), nothing(none, 8);
  const double loss = on.run(user.view(), item.view(), batch.view(), 0.15f, got.view());
  Sum rows;
  for (double row_loss : got.row_loss) rows.add(row_loss);
  CHECK(std::abs(loss - rows.value / 300) <=
        4 * std::numeric_limits<double>::epsilon() * rows.magnitude);
  Values<double> sum = {2.5};
  on.add_loss(user.view(), item.view(), batch.view(), 0.15f, got.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
  on.add_loss(user.view(), item.view(), none.view(), 0.15f, nothing.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
}

TEST_CASE("info_nce: two runs give the same bits", "[kernels]") {
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("two runs", 50, 60, 23, 70, 17);
  std::mt19937_64 random(18);
  GuardedMatrix user(50, 33), item(60, 33);
  fill_unit_rows(user, random);
  fill_unit_rows(item, random);
  check_same_bits_of_two_runs(batch, 33, [&](const BatchGradientView& got) {
    return on.run(user.view(), item.view(), batch.view(), 0.15f, got);
  });
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
  const InfoNce on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("refused", 3, 4, 6, 2, 14);
  GuardedMatrix user(3, 8), item(4, 8), narrow(4, 7);
  HostBatchGradient got(batch, 8), wrong(batch, 7);
  for (float tau : {0.0f, -0.1f, std::numeric_limits<float>::quiet_NaN()})
    CHECK_THROWS_AS(on.run(user.view(), item.view(), batch.view(), tau, got.view()),
                    std::invalid_argument);
  CHECK_THROWS_AS(on.run(user.view(), narrow.view(), batch.view(), 0.1f, got.view()),
                  std::invalid_argument);
  CHECK_THROWS_AS(on.run(user.view(), item.view(), batch.view(), 0.1f, wrong.view()),
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
