// The evaluator on rankings that are plain to see: item i scores -i for everyone.
#include <catch2/catch.hpp>

#include <cmath>
#include <numeric>

#include "engine/evaluator.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

// Ranks 0, 1, 2, ... for every user, without what is masked.
struct InOrder {
  std::unique_ptr<Backend> backend = make_backend("cpu", 2).backend;
  Matrix<float> user, item;

  InOrder(int64_t users, int64_t items) : user(*backend, users, 1), item(*backend, items, 1) {
    const std::vector<float> ones(size_t(users), 1.0f);
    std::vector<float> falling(static_cast<size_t>(items));
    for (size_t i = 0; i < falling.size(); ++i) falling[i] = -float(i);
    backend->upload(user.data(), ones.data(), sizeof(float) * ones.size());
    backend->upload(item.data(), falling.data(), sizeof(float) * falling.size());
  }
  VectorRanker ranker() { return {*backend, user.view(), item.view()}; }
};

// Passes calls on, and remembers the longest lists asked for at once.
struct Watched final : Ranker {
  Ranker& ranker;
  int64_t most_entries = 0, calls = 0;

  explicit Watched(Ranker& watched) : ranker(watched) {}
  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override {
    ++calls;
    most_entries = std::max(most_entries, int64_t(users.size()) * k);
    return ranker.rank(users, masks, allowed, k);
  }
  std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) override {
    return ranker.scores(users, items);
  }
};

}  // namespace

TEST_CASE("evaluator: memory for lists does not grow with the users", "[engine]") {
  constexpr int64_t kUsers = 600, kItems = 20000;
  InOrder order(kUsers, kItems);
  VectorRanker ranker = order.ranker();
  Watched watched(ranker);
  Lists truth;
  for (int64_t u = 0; u < kUsers; ++u) truth.push_back({int32_t(u % 7)});
  const Evaluation got = evaluate(watched, csr_of(truth, kItems).view(), {}, {kItems, 1});
  CHECK(watched.calls > 1);
  CHECK(watched.most_entries * int64_t{sizeof(int32_t) + sizeof(float)} <= int64_t{64} << 20);
  REQUIRE(int64_t(got.per_user.size()) == kUsers);
  for (int64_t u = 0; u < kUsers; ++u) {
    CHECK(got.per_user[size_t(u)].user == u);
    CHECK(got.per_user[size_t(u)].at[0][size_t(Metric::mrr)] == 1.0 / double(u % 7 + 1));
  }
}

TEST_CASE("evaluator: masks, users without relevant items, cut-offs in the order asked",
          "[engine]") {
  InOrder order(4, 6);
  VectorRanker ranker = order.ranker();
  const HostCsr truth = csr_of({{1}, {}, {2, 5}, {0}}, 6);
  const DeviceCsr train(*order.backend, csr_of({{0}, {1}, {}, {4}}, 6).view());
  const DeviceCsr valid(*order.backend, csr_of({{}, {}, {0, 1}, {5}}, 6).view());
  const Evaluation got = evaluate(ranker, truth.view(), {train.view(), valid.view()}, {3, 1});

  CHECK(got.users == 3);
  CHECK(got.cutoffs == std::vector<int64_t>{3, 1});
  REQUIRE(got.per_user.size() == 3);
  CHECK(got.per_user[0].user == 0);
  CHECK(got.per_user[1].user == 2);
  CHECK(got.per_user[2].user == 3);
  // User 0 is shown 1, 2, 3; user 2: 2, 3, 4; user 3: 0, 1, 2.
  // All hit at rank 1, user 2 one of two.
  CHECK(got.value(Metric::recall, 3) == Approx((1 + 0.5 + 1) / 3).margin(1e-15));
  CHECK(got.value(Metric::recall, 1) == Approx((1 + 0.5 + 1) / 3).margin(1e-15));
  CHECK(got.value(Metric::mrr, 3) == 1);
  CHECK(got.value(Metric::precision, 3) == Approx(1.0 / 3).margin(1e-15));
  CHECK(got.value(Metric::ndcg, 1) == 1);
  CHECK_THROWS_AS(got.value(Metric::recall, 2), std::invalid_argument);

  const Evaluation unmasked = evaluate(ranker, truth.view(), {}, {2});
  CHECK(unmasked.value(Metric::recall, 2) == Approx((1.0 + 0 + 1) / 3).margin(1e-15));
  CHECK(unmasked.value(Metric::mrr, 2) == Approx((0.5 + 0 + 1) / 3).margin(1e-15));
}

TEST_CASE("evaluator: a cut-off beyond the items", "[engine]") {
  InOrder order(1, 3);
  VectorRanker ranker = order.ranker();
  const Evaluation got = evaluate(ranker, csr_of({{1, 2}}, 3).view(), {}, {1'000'000});
  CHECK(got.value(Metric::recall, 1'000'000) == 1);
  CHECK(got.value(Metric::precision, 1'000'000) == Approx(2e-6).epsilon(1e-12));
}

TEST_CASE("evaluator: nobody to evaluate, and no cut-off", "[engine]") {
  InOrder order(2, 3);
  VectorRanker ranker = order.ranker();
  const Evaluation nobody = evaluate(ranker, csr_of({{}, {}}, 3).view(), {}, {2});
  CHECK(nobody.users == 0);
  CHECK(nobody.value(Metric::recall, 2) == 0);
  CHECK_THROWS_AS(evaluate(ranker, csr_of({{0}, {}}, 3).view(), {}, {}), std::invalid_argument);
  CHECK_THROWS_AS(evaluate(ranker, csr_of({{0}, {}}, 3).view(), {}, {0}), std::invalid_argument);
}

TEST_CASE("evaluator: groups that part the users add up to the whole", "[engine]") {
  const SmallData data = small_data(71, 60, 20);
  InOrder order(data.users(), data.items);
  VectorRanker ranker = order.ranker();
  const Evaluation whole = evaluate(ranker, data.train.view(), {}, {2, 5});
  const GroupMean even = mean_over(whole, [](int32_t u) { return u % 2 == 0; });
  const GroupMean odd = mean_over(whole, [](int32_t u) { return u % 2 == 1; });
  CHECK(even.users + odd.users == whole.users);
  for (size_t c = 0; c < whole.cutoffs.size(); ++c)
    for (size_t m = 0; m < kAllMetrics.size(); ++m) {
      const double sum = even.at[c][m] * double(even.users) + odd.at[c][m] * double(odd.users);
      CHECK(sum / double(whole.users) == Approx(whole.mean[c][m]).epsilon(1e-13));
    }
  const GroupMean none = mean_over(whole, [](int32_t) { return false; });
  CHECK(none.users == 0);
  CHECK(none.at[0][0] == 0);
}

TEST_CASE("evaluator: groups of items count their own items alone", "[engine]") {
  InOrder order(3, 6);
  VectorRanker ranker = order.ranker();
  const HostCsr truth = csr_of({{0, 4, 5}, {1}, {4}}, 6);
  const Evaluation got = evaluate(ranker, truth.view(), {}, {5}, {0, 0, 0, 0, 2, 2});
  REQUIRE(got.by_item_group.size() == 3);
  const auto value = [&](size_t g, Metric m) { return got.by_item_group[g].at[0][size_t(m)]; };
  // Everyone is shown 0 to 4. Group 0: user 0 looks for 0, user 1 for 1.
  CHECK(got.by_item_group[0].users == 2);
  CHECK(value(0, Metric::recall) == 1);
  CHECK(value(0, Metric::mrr) == (1 + 0.5) / 2);
  CHECK(got.by_item_group[1].users == 0);
  CHECK(value(1, Metric::recall) == 0);
  // Group 2: user 0 finds 4 of 4 and 5, user 2 her 4, both at rank 5.
  CHECK(got.by_item_group[2].users == 2);
  CHECK(value(2, Metric::recall) == (0.5 + 1) / 2);
  CHECK(value(2, Metric::mrr) == Approx(0.2).epsilon(1e-15));
  CHECK_THROWS_AS(evaluate(ranker, truth.view(), {}, {5}, {0, 1}), std::invalid_argument);
}

TEST_CASE("ranker: the same lists whole and user by user", "[engine]") {
  const SmallData data = small_data(72, 50, 30);
  InOrder order(data.users(), data.items);
  VectorRanker ranker = order.ranker();
  const DeviceCsr mask(*order.backend, data.train.view());
  std::vector<int32_t> users(static_cast<size_t>(data.users()));
  std::iota(users.begin(), users.end(), 0);
  const TopLists all = ranker.rank(users, {mask.view()}, {}, 7);
  for (int32_t u : users) {
    const TopLists one = ranker.rank({u}, {mask.view()}, {}, 7);
    for (int64_t c = 0; c < 7; ++c) CHECK(one.items_of(0)[c] == all.items_of(u)[c]);
  }
}

}  // namespace rec::test
