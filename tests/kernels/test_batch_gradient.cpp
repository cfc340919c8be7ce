// batch_gradient against plain sums over the batch in double precision.
#include <catch2/catch.hpp>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/closeness.h"
#include "tests/support/objectives.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct BatchGradient {
  std::string backend;
  std::function<void(MatrixView<const float>, const BatchView&, const BatchGradientView&,
                     MatrixView<float>, MatrixView<float>)>
      run;
  std::function<void(const BatchView&, MatrixView<const float>, MatrixView<float>)> user_half;
};
std::vector<BatchGradient> backends() {
  return on_backends<BatchGradient>(
      [] {
        return BatchGradient{"cpu", cpu::batch_gradient, cpu::user_gradient};
      },
      [](auto) {
        return BatchGradient{"cuda", on_device(cuda::batch_gradient),
                             on_device(cuda::user_gradient)};
      });
}

// An objective's result and the tables it belongs to, filled at random.
struct Fixture {
  HostBatch batch;
  GuardedMatrix user, grad_user, grad_item;
  HostBatchGradient from;

  Fixture(HostBatch b, int64_t dim, uint64_t seed, bool aligned = false)
      : batch(std::move(b)),
        user(guarded(batch.users, dim, aligned)),
        grad_user(user),
        grad_item(guarded(batch.items, dim, aligned)),
        from(batch, dim, /*score_padding=*/0) {
    from.user_row = guarded(batch.rows(), dim, aligned);
    std::mt19937_64 random(seed);
    user.fill_normal(random);
    from.score.fill_normal(random);
    from.user_row.fill_normal(random);
  }
  void run(const BatchGradient& on) {
    on.run(user.view(), batch.view(), from.view(), grad_user.view(), grad_item.view());
  }
};

void check(const BatchGradient& on, Fixture& f) {
  const int64_t dim = f.user.view().cols;
  CAPTURE(f.batch.name, dim);
  std::vector<Sum> user_sum(size_t(f.batch.users * dim)), item_sum(size_t(f.batch.items * dim));
  for (int64_t b = 0; b < f.batch.rows(); ++b)
    for (int64_t c = 0; c < dim; ++c) {
      const int64_t u = f.batch.user[size_t(b)];
      user_sum[size_t(u * dim + c)].add(f.from.user_row.view()(b, c));
      for (int64_t slot = 0; slot <= f.batch.negatives; ++slot)
        item_sum[size_t(f.batch.item_of(b, slot) * dim + c)].add(
            double(f.from.score.view()(b, slot)) * double(f.user.view()(u, c)));
    }
  f.run(on);
  Agreement agreement;
  for (int64_t u = 0; u < f.batch.users; ++u)
    for (int64_t c = 0; c < dim; ++c) {
      const Sum& want = user_sum[size_t(u * dim + c)];
      agreement.compare(f.grad_user.view()(u, c), want.value, rounding_bound(want), "user ", u,
                        ", column ", c);
    }
  for (int64_t i = 0; i < f.batch.items; ++i)
    for (int64_t c = 0; c < dim; ++c) {
      const Sum& want = item_sum[size_t(i * dim + c)];
      agreement.compare(f.grad_item.view()(i, c), want.value, rounding_bound(want), "item ", i,
                        ", column ", c);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(f.grad_user.guards_untouched());
  CHECK(f.grad_item.guards_untouched());
}

// The lengths of the items' lists stand around what a warp of a GPU fetches at once (128) and what
// it sums alone (256); the last has a third of all uses.
HostBatch skewed_batch() {
  constexpr int64_t kRows = 640, kUsers = 70;
  const int64_t uses[] = {0, 1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 0, 30, 2, 0, 0, 0, 0, 0};
  Values<int32_t> positive, negative, user;
  for (int32_t i = 0; i < int32_t(std::size(uses)); ++i)
    for (int64_t k = 0; k < uses[i]; ++k)
      (int64_t(positive.size()) < kRows ? positive : negative).push_back(i);
  while (int64_t(positive.size()) < kRows) positive.push_back(13);
  while (int64_t(negative.size()) < kRows * 2) negative.push_back(18);
  for (int64_t b = 0; b < kRows; ++b) user.push_back(int32_t(b * b % kUsers));
  return make_batch("lists of all lengths", kUsers, std::size(uses), 2, std::move(user),
                    std::move(positive), std::move(negative));
}

}  // namespace

// docs/kernels/batch_gradient.md, "A small example"
TEST_CASE("batch_gradient: the example worked by hand", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Fixture f(make_batch("hand", 3, 4, 2, {2, 0, 2}, {0, 1, 1}, {1, 3, 0, 0, 3, 0}), 1, 1);
  const float user[] = {2, 7, 3};
  const float score[] = {-3, 1, 2, -5, 4, 1, -9, 4, 5};
  for (int64_t u = 0; u < 3; ++u) f.user.view()(u, 0) = user[u];
  for (int64_t use = 0; use < 9; ++use) f.from.score.view()(use / 3, use % 3) = score[use];
  for (int64_t b = 0; b < 3; ++b) f.from.user_row.view()(b, 0) = float(10 * (b + 1));
  f.run(on);
  CHECK(f.grad_user.view()(0, 0) == 20);
  CHECK(f.grad_user.view()(1, 0) == 0);
  CHECK(f.grad_user.view()(2, 0) == 40);
  CHECK(f.grad_item.view()(0, 0) == 16);
  CHECK(f.grad_item.view()(1, 0) == -34);
  CHECK(f.grad_item.view()(2, 0) == 0);
  CHECK(f.grad_item.view()(3, 0) == 18);
}

TEST_CASE("batch_gradient: matches plain sums", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  CAPTURE(aligned);
  for (int64_t dim : {1, 4, 31, 32, 33, 64, 66, 128, 200, 300}) {
    Fixture one(random_batch("one row", 5, 6, 1, 1, 31), dim, 41, aligned);
    Fixture few(random_batch("users and items repeat", 3, 4, 30, 9, 32), dim, 42, aligned);
    Fixture sparse(random_batch("most nodes untouched", 90, 400, 12, 5, 33), dim, 43, aligned);
    for (Fixture* f : {&one, &few, &sparse}) check(on, *f);
  }
  for (int64_t dim : {1, 33, 64, 200}) {
    Fixture popular(random_batch("items with more uses than one run", 40, 3, 60, 32, 34), dim, 44,
                    aligned);
    Fixture skewed(skewed_batch(), dim, 48, aligned);
    for (Fixture* f : {&popular, &skewed}) check(on, *f);
  }
}

// Whole numbers, so that every sum is exact and one use given to the wrong row would show.
TEST_CASE("batch_gradient: first and last slot of 4096 rows of 257", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Fixture f(random_batch("257 slots", 900, 50, 4096, 256, 37), 1, 47);
  for (int64_t u = 0; u < f.batch.users; ++u) f.user.view()(u, 0) = float(u % 31);
  std::vector<double> want(size_t(f.batch.items), 0.0);
  for (int64_t b = 0; b < f.batch.rows(); ++b)
    for (int64_t slot = 0; slot <= 256; ++slot) {
      f.from.score.view()(b, slot) = slot == 0 || slot == 256 ? 1.0f : 0.0f;
      want[size_t(f.batch.item_of(b, slot))] +=
          double(f.from.score.view()(b, slot)) * double(f.batch.user[size_t(b)] % 31);
    }
  f.run(on);
  for (int64_t i = 0; i < f.batch.items; ++i) CHECK(f.grad_item.view()(i, 0) == want[size_t(i)]);
}

// Arrays that end with their last value: AddressSanitizer reports what is touched after it.
TEST_CASE("batch_gradient: touches nothing past the arrays", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (int64_t dim : {31, 33, 60, 66, 132}) {
    CAPTURE(dim);
    HostBatch batch =
        make_batch("last user, last item", 2, 3, 3, {1, 0}, {2, 2}, {2, 1, 2, 0, 2, 2});
    const Values<float> user(size_t(2 * dim), 1.0f);
    Values<float> score(8, 2.0f), user_row(size_t(2 * dim), 3.0f);
    Values<float> grad_user(size_t(2 * dim)), grad_item(size_t(3 * dim));
    BatchGradientView from;
    from.score = {score.data(), 2, 4};
    from.user_row = {user_row.data(), 2, dim};
    on.run({user.data(), 2, dim}, batch.view(), from, {grad_user.data(), 2, dim},
           {grad_item.data(), 3, dim});
    CHECK(grad_user == user_row);
    for (int64_t c = 0; c < dim; ++c) {
      CHECK(grad_item[size_t(c)] == 2.0f);
      CHECK(grad_item[size_t(dim + c)] == 2.0f);
      CHECK(grad_item[size_t(2 * dim + c)] == 12.0f);
    }
  }
}

TEST_CASE("batch_gradient: the users' half alone is the same, and refuses what does not match",
          "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (int64_t dim : {1, 33, 64}) {
    Fixture f(random_batch("half", 5, 4, 37, 2, 51), dim, 52);
    f.run(on);
    GuardedMatrix alone = f.user;
    on.user_half(f.batch.view(), f.from.view().user_row, alone.view());
    CHECK(same_bits(alone.view(), f.grad_user.view()));
    CHECK(alone.guards_untouched());
    GuardedMatrix narrow(5, dim + 1), fewer(4, dim);
    CHECK_THROWS_AS(on.user_half(f.batch.view(), f.from.view().user_row, narrow.view()),
                    std::invalid_argument);
    CHECK_THROWS_AS(on.user_half(f.batch.view(), f.from.view().user_row, fewer.view()),
                    std::invalid_argument);
  }
}

TEST_CASE("batch_gradient: two runs give the same bits", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Fixture f(skewed_batch(), 33, 49);
  f.run(on);
  const GuardedMatrix grad_user = f.grad_user, grad_item = f.grad_item;
  f.run(on);
  CHECK(same_bits(f.grad_user.view(), grad_user.view()));
  CHECK(same_bits(f.grad_item.view(), grad_item.view()));
}

TEST_CASE("batch_gradient: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  Fixture f(random_batch("threads", 50, 40, 97, 31, 35), 33, 45);
  const auto run = [&](int threads) {
    const cpu::ThreadsInUse count(threads);
    f.run({"cpu", cpu::batch_gradient, cpu::user_gradient});
  };
  run(1);
  const GuardedMatrix grad_user = f.grad_user, grad_item = f.grad_item;
  for (int threads : {2, 3}) {
    run(threads);
    CHECK(same_bits(f.grad_user.view(), grad_user.view()));
    CHECK(same_bits(f.grad_item.view(), grad_item.view()));
  }
}

TEST_CASE("batch_gradient: refuses shapes that do not match", "[kernels]") {
  const BatchGradient on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  Fixture f(random_batch("refused", 3, 4, 6, 2, 36), 8, 46);
  GuardedMatrix narrow(4, 7), short_items(3, 8);
  HostBatchGradient padded(f.batch, 8);
  CHECK_THROWS_AS(
      on.run(f.user.view(), f.batch.view(), f.from.view(), f.grad_user.view(), narrow.view()),
      std::invalid_argument);
  CHECK_THROWS_AS(
      on.run(f.user.view(), f.batch.view(), f.from.view(), f.grad_user.view(), short_items.view()),
      std::invalid_argument);
  CHECK_THROWS_AS(
      on.run(f.user.view(), f.batch.view(), padded.view(), f.grad_user.view(), f.grad_item.view()),
      std::invalid_argument);
}

}  // namespace rec::test
