// batch_gradient against plain sums over the batch in double precision.
#include <catch2/catch.hpp>

#include <random>
#include <vector>

#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/closeness.h"

namespace rec::test {
namespace {

// An objective's result and the tables it belongs to, filled at random.
struct Fixture {
  HostBatch batch;
  GuardedMatrix user, grad_user, grad_item;
  HostBatchGradient from;

  Fixture(HostBatch b, int64_t dim, uint64_t seed)
      : batch(std::move(b)),
        user(batch.users, dim),
        grad_user(batch.users, dim),
        grad_item(batch.items, dim),
        from(batch, dim, /*score_padding=*/0) {
    std::mt19937_64 random(seed);
    user.fill_normal(random);
    from.score.fill_normal(random);
    from.user_row.fill_normal(random);
  }
  void run() {
    cpu::batch_gradient(user.view(), batch.view(), from.view(), grad_user.view(), grad_item.view());
  }
};

void check(Fixture& f) {
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
  f.run();
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

}  // namespace

// docs/kernels/batch_gradient.md, "A small example"
TEST_CASE("batch_gradient: the example worked by hand", "[kernels]") {
  Fixture f(make_batch("hand", 3, 4, 2, {2, 0, 2}, {0, 1, 1}, {1, 3, 0, 0, 3, 0}), 1, 1);
  const float user[] = {2, 7, 3};
  const float score[] = {-3, 1, 2, -5, 4, 1, -9, 4, 5};
  for (int64_t u = 0; u < 3; ++u) f.user.view()(u, 0) = user[u];
  for (int64_t use = 0; use < 9; ++use) f.from.score.view()(use / 3, use % 3) = score[use];
  for (int64_t b = 0; b < 3; ++b) f.from.user_row.view()(b, 0) = float(10 * (b + 1));
  f.run();
  CHECK(f.grad_user.view()(0, 0) == 20);
  CHECK(f.grad_user.view()(1, 0) == 0);
  CHECK(f.grad_user.view()(2, 0) == 40);
  CHECK(f.grad_item.view()(0, 0) == 16);
  CHECK(f.grad_item.view()(1, 0) == -34);
  CHECK(f.grad_item.view()(2, 0) == 0);
  CHECK(f.grad_item.view()(3, 0) == 18);
}

TEST_CASE("batch_gradient: matches plain sums", "[kernels]") {
  for (int64_t dim : {1, 31, 32, 33, 64, 200, 300}) {
    Fixture one(random_batch("one row", 5, 6, 1, 1, 31), dim, 41);
    Fixture few(random_batch("users and items repeat", 3, 4, 30, 9, 32), dim, 42);
    Fixture sparse(random_batch("most nodes untouched", 90, 400, 12, 5, 33), dim, 43);
    Fixture popular(random_batch("an item with more uses than one run", 40, 3, 60, 32, 34), dim,
                    44);
    for (Fixture* f : {&one, &few, &sparse, &popular}) check(*f);
  }
}

// Whole numbers, so that every sum is exact and one use given to the wrong row would show.
TEST_CASE("batch_gradient: first and last slot of 4096 rows of 257", "[kernels]") {
  Fixture f(random_batch("257 slots", 900, 50, 4096, 256, 37), 1, 47);
  for (int64_t u = 0; u < f.batch.users; ++u) f.user.view()(u, 0) = float(u % 31);
  std::vector<double> want(size_t(f.batch.items), 0.0);
  for (int64_t b = 0; b < f.batch.rows(); ++b)
    for (int64_t slot = 0; slot <= 256; ++slot) {
      f.from.score.view()(b, slot) = slot == 0 || slot == 256 ? 1.0f : 0.0f;
      want[size_t(f.batch.item_of(b, slot))] +=
          double(f.from.score.view()(b, slot)) * double(f.batch.user[size_t(b)] % 31);
    }
  f.run();
  for (int64_t i = 0; i < f.batch.items; ++i) CHECK(f.grad_item.view()(i, 0) == want[size_t(i)]);
}

TEST_CASE("batch_gradient: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  Fixture f(random_batch("threads", 50, 40, 97, 31, 35), 33, 45);
  const auto run = [&](int threads) {
    const cpu::ThreadsInUse count(threads);
    f.run();
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
  Fixture f(random_batch("refused", 3, 4, 6, 2, 36), 8, 46);
  GuardedMatrix narrow(4, 7), short_items(3, 8);
  HostBatchGradient padded(f.batch, 8);
  CHECK_THROWS_AS(cpu::batch_gradient(f.user.view(), f.batch.view(), f.from.view(),
                                      f.grad_user.view(), narrow.view()),
                  std::invalid_argument);
  CHECK_THROWS_AS(cpu::batch_gradient(f.user.view(), f.batch.view(), f.from.view(),
                                      f.grad_user.view(), short_items.view()),
                  std::invalid_argument);
  CHECK_THROWS_AS(cpu::batch_gradient(f.user.view(), f.batch.view(), padded.view(),
                                      f.grad_user.view(), f.grad_item.view()),
                  std::invalid_argument);
}

}  // namespace rec::test
