// Candidate ranking on lists that are worked out by hand, and how negatives are drawn.
#include <catch2/catch.hpp>

#include <cmath>
#include <set>

#include "engine/baselines.h"
#include "engine/candidates.h"
#include "tests/support/closeness.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

std::vector<int32_t> row_of(const HostCsr& m, int64_t r) {
  return {m.view().row(r), m.view().row(r) + m.view().degree(r)};
}

// A ranker whose scores stand in a table [users, items].
struct Table final : Ranker {
  Rows score;

  explicit Table(Rows table) : score(std::move(table)) {}
  TopLists rank(const std::vector<int32_t>&, const std::vector<CsrView>&, VectorView<const uint8_t>,
                int64_t) override {
    throw std::logic_error("candidates are not ranked among all items");
  }
  std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) override {
    std::vector<float> scores;
    for (size_t r = 0; r < users.size(); ++r)
      for (int64_t e = 0; e < items.degree(int64_t(r)); ++e)
        scores.push_back(float(score[size_t(users[r])][size_t(items.row(int64_t(r))[e])]));
    return scores;
  }
};

// Item i scores -i for user 0, and i for user 1.
Table rising_and_falling() {
  return Table({{0, -1, -2, -3, -4, -5, -6, -7}, {0, 1, 2, 3, 4, 5, 6, 7}});
}

// User 0 has items 2 and 5 in the split, user 1 has 0; each list has two negatives.
CandidateLists three_lists() {
  CandidateLists lists;
  lists.candidate.cols = lists.positive.cols = 8;
  lists.add(0, {0, 2, 3}, {2});  // ranked 0 2 3
  lists.add(0, {0, 1, 5}, {5});  // ranked 0 1 5
  lists.add(1, {0, 6, 7}, {0});  // ranked 7 6 0
  return lists;
}

}  // namespace

TEST_CASE("candidates: hand-worked lists", "[engine]") {
  Table table = rising_and_falling();
  const CandidateEvaluation got = evaluate(table, three_lists(), {1, 2, 3});
  CHECK(got.lists == 3);
  CHECK(got.users == 2);
  const auto value = [&](Metric m, size_t cutoff) { return got.mean[cutoff][size_t(m)]; };
  CHECK(value(Metric::hr, 0) == 0);
  CHECK(value(Metric::hr, 1) == Approx(1.0 / 3).margin(1e-15));
  CHECK(value(Metric::hr, 2) == 1);
  CHECK(value(Metric::ndcg, 1) == Approx(1 / std::log2(3) / 3).margin(1e-15));
  CHECK(value(Metric::ndcg, 2) == Approx((1 / std::log2(3) + 0.5 + 0.5) / 3).margin(1e-15));
}

TEST_CASE("candidates: pooled lists hold all of a user's", "[engine]") {
  const HostCsr truth = csr_of({{2, 5}, {0, 4}}, 8);
  const CandidateLists pools = pooled(three_lists(), truth.view());
  REQUIRE(pools.user == std::vector<int32_t>{0, 1});
  CHECK(row_of(pools.candidate, 0) == std::vector<int32_t>{0, 1, 2, 3, 5});
  CHECK(row_of(pools.positive, 0) == std::vector<int32_t>{2, 5});
  // Item 4 was in no list of user 1, but is in the split.
  CHECK(row_of(pools.candidate, 1) == std::vector<int32_t>{0, 4, 6, 7});
  CHECK(row_of(pools.positive, 1) == std::vector<int32_t>{0, 4});

  Table table = rising_and_falling();
  const CandidateEvaluation got = evaluate(table, pools, {5, 3});
  // User 0: hits at ranks 3 and 5 of 0 1 2 3 5. User 1: at 3 and 4 of 7 6 4 0.
  const double ideal = 1 + 1 / std::log2(3);
  const double user0 = (0.5 + 1 / std::log2(6)) / ideal, user1 = (0.5 + 1 / std::log2(5)) / ideal;
  CHECK(got.lists == 2);
  CHECK(got.mean[0][size_t(Metric::ndcg)] == Approx((user0 + user1) / 2).margin(1e-15));
  CHECK(got.mean[1][size_t(Metric::ndcg)] == Approx(0.5 / ideal).margin(1e-15));
  CHECK(got.mean[1][size_t(Metric::hr)] == 1);
  CHECK(got.mean[1][size_t(Metric::recall)] == 0.5);
}

TEST_CASE("candidates: equal scores go by the smaller id", "[engine]") {
  Table table({{1, 1, 1, 1}});
  CandidateLists lists;
  lists.candidate.cols = lists.positive.cols = 4;
  lists.add(0, {0, 1, 3}, {1});
  const CandidateEvaluation got = evaluate(table, lists, {3});
  CHECK(got.mean[0][size_t(Metric::mrr)] == 0.5);
}

TEST_CASE("candidates: drawn from the items a user has in no split", "[engine]") {
  const HostCsr train = csr_of({{0, 3}, {}, {1}}, 12), test = csr_of({{1, 7}, {11}, {}}, 12);
  const CandidateLists lists = draw_candidates(test.view(), {train.view(), test.view()}, 8, 5);
  REQUIRE(lists.user == std::vector<int32_t>{0, 0, 1});
  const std::vector<int32_t> positive = {1, 7, 11};
  const std::vector<std::set<int32_t>> owned = {{0, 1, 3, 7}, {0, 1, 3, 7}, {11}};
  for (int64_t l = 0; l < 3; ++l) {
    const std::vector<int32_t> candidates = row_of(lists.candidate, l);
    CHECK(std::set<int32_t>(candidates.begin(), candidates.end()).size() == 9);
    CHECK(std::is_sorted(candidates.begin(), candidates.end()));
    CHECK(row_of(lists.positive, l) == std::vector<int32_t>{positive[size_t(l)]});
    for (int32_t item : candidates)
      CHECK((item == positive[size_t(l)] || owned[size_t(l)].count(item) == 0));
  }
  const CandidateLists again = draw_candidates(test.view(), {train.view(), test.view()}, 8, 5);
  CHECK(again.candidate.col == lists.candidate.col);
  const CandidateLists other = draw_candidates(test.view(), {train.view(), test.view()}, 8, 6);
  CHECK(other.candidate.col != lists.candidate.col);
  CHECK_THROWS_WITH(draw_candidates(test.view(), {train.view(), test.view()}, 9, 5),
                    Catch::Contains("user 0") && Catch::Contains("all but 8 items"));
}

TEST_CASE("candidates: every set of negatives is equally likely", "[engine]") {
  constexpr int64_t kUsers = 4000, kItems = 12, kNegatives = 5, kFree = 10;
  const Lists own(size_t(kUsers), {3}), wanted(size_t(kUsers), {8});
  const HostCsr train = csr_of(own, kItems), test = csr_of(wanted, kItems);
  const CandidateLists lists =
      draw_candidates(test.view(), {train.view(), test.view()}, kNegatives, 7);
  std::vector<std::vector<int64_t>> together(kItems, std::vector<int64_t>(kItems, 0));
  for (int64_t l = 0; l < lists.lists(); ++l)
    for (int32_t a : row_of(lists.candidate, l))
      for (int32_t b : row_of(lists.candidate, l)) ++together[size_t(a)][size_t(b)];
  // Six standard deviations of a binomial count around its mean.
  const auto within = [&](int64_t count, double p) {
    return std::abs(double(count) - p * kUsers) <= 6 * std::sqrt(kUsers * p * (1 - p));
  };
  const double one = double(kNegatives) / kFree, two = one * (kNegatives - 1) / (kFree - 1);
  for (int32_t a = 0; a < kItems; ++a)
    for (int32_t b = 0; b <= a; ++b) {
      if (a == 3 || b == 3 || a == 8 || b == 8) continue;
      CAPTURE(a, b);
      CHECK(within(together[size_t(a)][size_t(b)], a == b ? one : two));
    }
}

TEST_CASE("candidates: rankers score chosen items as they do all of them", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  const SmallData data = small_data(83, 15, 11, 9);
  const CsrView train = data.train.view();
  std::vector<std::unique_ptr<Ranker>> rankers;
  rankers.push_back(make_popularity(*made.backend, train));
  rankers.push_back(make_embedding_knn(*made.backend, data.language(), train));
  rankers.push_back(make_random(*made.backend, train, 0, 3));
  rankers.push_back(make_random(*made.backend, train, 4, 3));
  std::vector<int32_t> users = {4, 0, 0, 9};
  const HostCsr wanted = csr_of({{0, 5, 10}, {}, {2}, {1, 3}}, data.items);
  for (const auto& ranker : rankers) {
    const std::vector<float> got = ranker->scores(users, wanted.view());
    REQUIRE(int64_t(got.size()) == wanted.entries());
    const TopLists all = ranker->rank(users, {}, {}, data.items);
    for (int64_t r = 0; r < wanted.rows; ++r)
      for (int64_t e = wanted.row_start[size_t(r)]; e < wanted.row_start[size_t(r) + 1]; ++e) {
        const auto list = all.items_of(r);
        const int64_t place =
            std::find(list.begin(), list.end(), wanted.col[size_t(e)]) - list.begin();
        // A sum of 9 products of unit vectors' components, on both sides.
        CHECK(
            std::abs(double(got[size_t(e)]) - double(all.score[size_t(r * data.items + place)])) <=
            2 * rounding_bound(9, 1.0));
      }
  }
}

TEST_CASE("candidates: a score that is not finite is refused", "[engine]") {
  const MadeBackend made = make_backend("cpu", 1);
  const Matrix<float> user(*made.backend, 1, 1), item(*made.backend, 2, 1);
  const float huge[] = {3e38f, 0, 3e38f};
  made.backend->upload(user.data(), huge, sizeof(float));
  made.backend->upload(item.data(), huge + 1, 2 * sizeof(float));
  VectorRanker ranker(*made.backend, user.view(), item.view());
  CHECK(ranker.scores({0}, csr_of({{0}}, 2).view()) == std::vector<float>{0});
  CHECK_THROWS_AS(ranker.scores({0}, csr_of({{0, 1}}, 2).view()), std::domain_error);
}

}  // namespace rec::test
