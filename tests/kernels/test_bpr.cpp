// bpr against plain loops in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/bpr/bpr.h"
#include "tests/support/objectives.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

struct Bpr {
  std::string backend;
  std::function<void(MatrixView<const float>, MatrixView<const float>, const BatchView&,
                     const BatchGradientView&, double*)>
      add_loss;

  double run(MatrixView<const float> user, MatrixView<const float> item, const BatchView& batch,
             const BatchGradientView& grad) const {
    Values<double> loss = {0.0};
    add_loss(user, item, batch, grad, loss.data());
    return loss[0];
  }
};
std::vector<Bpr> backends() {
  return on_backends<Bpr>(
      [] {
        return Bpr{"cpu", [](auto user, auto item, auto& batch, auto& grad, double* loss) {
                     *loss += cpu::bpr(user, item, batch, grad);
                   }};
      },
      [](auto) {
        return Bpr{"cuda", on_device(cuda::bpr)};
      });
}

// softplus(m) and sigmoid(m) / B of the margin m = s_1 - s_0. An error d of the margin changes
// softplus by at most sigmoid * expm1(d), and sigmoid by the same factor.
RowOracle pairwise(const RowScores& scores, int64_t batch_rows) {
  const long double margin = static_cast<long double>(scores.value[1]) - scores.value[0];
  const double relative = std::expm1(scores.error[0] + scores.error[1]);
  const double sigmoid = double(1 / (1 + std::exp(-margin)));
  const double grad = sigmoid / double(batch_rows);
  RowOracle row;
  row.loss = double(std::log1p(std::exp(margin)));
  row.loss_error = sigmoid * relative + 16 * std::numeric_limits<double>::epsilon() * row.loss;
  row.grad = {-grad, grad};
  row.grad_error = {grad * (relative + kEpsilon), grad * (relative + kEpsilon)};
  return row;
}

void check_case(const Bpr& on, const GuardedMatrix& user, const GuardedMatrix& item,
                HostBatch& batch, bool exact_scores) {
  CAPTURE(batch.name, user.view().cols);
  HostBatchGradient got(batch, user.view().cols);
  const double loss = on.run(user.view(), item.view(), batch.view(), got.view());
  check_objective(user.view(), item.view(), batch, got, loss, exact_scores,
                  [&](const RowScores& s) { return pairwise(s, batch.rows()); });
}

}  // namespace

// docs/kernels/bpr.md, "A small example"
TEST_CASE("bpr: the example worked by hand", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("hand", 1, 2, 1, {0, 0}, {0, 1}, {1, 1});
  GuardedMatrix user(1, 1), item(2, 1);
  user.view()(0, 0) = 1;
  item.view()(0, 0) = 3, item.view()(1, 0) = 5;
  HostBatchGradient got(batch, 1);
  const double loss = on.run(user.view(), item.view(), batch.view(), got.view());
  CHECK(std::abs(loss - (std::log1p(std::exp(2.0)) + std::log(2.0)) / 2) < 1e-15);
  CHECK(got.score.view()(0, 1) == Approx(0.5 * 0.8807970779778823).epsilon(1e-7));
  CHECK(got.score.view()(0, 0) == -got.score.view()(0, 1));
  CHECK(got.user_row.view()(0, 0) == Approx(0.8807970779778823).epsilon(1e-6));
  CHECK(got.score.view()(1, 1) == 0.25f);
  CHECK(got.score.view()(1, 0) == -0.25f);
  CHECK(got.user_row.view()(1, 0) == 0.0f);
}

TEST_CASE("bpr: matches plain sums", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  for (int64_t dim : {1, 4, 31, 32, 33, 64, 66, 128, 200}) {
    CAPTURE(aligned);
    std::mt19937_64 random(21);
    HostBatch few = random_batch("few users and items", 3, 4, 40, 1, 22);
    HostBatch many = random_batch("many", 50, 60, 90, 1, 23);
    for (HostBatch* batch : {&few, &many}) {
      GuardedMatrix user = guarded(batch->users, dim, aligned);
      GuardedMatrix item = guarded(batch->items, dim, aligned);
      user.fill_normal(random);
      item.fill_normal(random);
      check_case(on, user, item, *batch, false);
      fill_dyadic(user, random);
      fill_dyadic(item, random);
      check_case(on, user, item, *batch, true);
    }
  }
}

TEST_CASE("bpr: margins far from 0", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  GuardedMatrix user(1, 1), item(6, 1);
  user.view()(0, 0) = 1;
  const float score[] = {-1e4f, -80, 0, 1, 80, 1e4f};
  for (int64_t i = 0; i < 6; ++i) item.view()(i, 0) = score[i];
  Values<int32_t> users(36, 0), positive, negative;
  for (int32_t p = 0; p < 6; ++p)
    for (int32_t n = 0; n < 6; ++n) positive.push_back(p), negative.push_back(n);
  HostBatch batch = make_batch("all pairs of extremes", 1, 6, 1, users, positive, negative);
  HostBatchGradient got(batch, 1);
  const double loss = on.run(user.view(), item.view(), batch.view(), got.view());
  CHECK(std::isfinite(loss));
  for (int64_t b = 0; b < batch.rows(); ++b) {
    const double margin = double(score[negative[size_t(b)]]) - score[positive[size_t(b)]];
    const double softplus = std::max(margin, 0.0) + std::log1p(std::exp(-std::abs(margin)));
    CHECK(std::abs(got.row_loss[size_t(b)] - softplus) <= 1e-15 * softplus);
    CHECK(std::isfinite(got.score.view()(b, 0)));
    CHECK(got.score.view()(b, 1) >= 0.0f);
  }
}

TEST_CASE("bpr: the oracle's derivative is the derivative of its loss", "[kernels]") {
  for (uint64_t seed : {24, 25, 26})
    check_oracle_derivative(1, seed, [](const RowScores& s) { return pairwise(s, 1); });
}

TEST_CASE("bpr: the loss is added", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("added", 3, 9, 30, 1, 32);
  std::mt19937_64 random(33);
  GuardedMatrix user(3, 8), item(9, 8);
  user.fill_normal(random);
  item.fill_normal(random);
  HostBatchGradient got(batch, 8);
  const double loss = on.run(user.view(), item.view(), batch.view(), got.view());
  Values<double> sum = {2.5};
  on.add_loss(user.view(), item.view(), batch.view(), got.view(), sum.data());
  CHECK(sum[0] == 2.5 + loss);
}

TEST_CASE("bpr: two runs give the same bits", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("two runs", 50, 60, 300, 1, 30);
  std::mt19937_64 random(31);
  GuardedMatrix user(50, 33), item(60, 33);
  user.fill_normal(random);
  item.fill_normal(random);
  check_same_bits_of_two_runs(batch, 33, [&](const BatchGradientView& got) {
    return on.run(user.view(), item.view(), batch.view(), got);
  });
}

TEST_CASE("bpr: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 50, 60, 97, 1, 27);
  std::mt19937_64 random(28);
  GuardedMatrix user(50, 33), item(60, 33);
  user.fill_normal(random);
  item.fill_normal(random);
  check_same_bits_with_threads(batch, 33, [&](const BatchGradientView& got) {
    return cpu::bpr(user.view(), item.view(), batch.view(), got);
  });
}

TEST_CASE("bpr: refuses more than one negative a row", "[kernels]") {
  const Bpr on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("refused", 3, 4, 6, 2, 29);
  GuardedMatrix user(3, 8), item(4, 8);
  HostBatchGradient got(batch, 8);
  CHECK_THROWS_AS(on.run(user.view(), item.view(), batch.view(), got.view()),
                  std::invalid_argument);
}

}  // namespace rec::test
