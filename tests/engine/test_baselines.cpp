// The baselines against what they are defined as, in plain loops.
#include <catch2/catch.hpp>

#include <cmath>
#include <numeric>
#include <set>

#include "engine/baselines.h"
#include "tests/support/closeness.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

std::vector<int32_t> all_of(int64_t users) {
  std::vector<int32_t> ids(static_cast<size_t>(users));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

std::vector<int32_t> list_of(const TopLists& lists, int64_t row) {
  const auto items = lists.items_of(row);
  return {items.begin(), items.end()};
}

}  // namespace

TEST_CASE("popularity: training counts, ties by smaller id, masked items left out", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  const HostCsr train = csr_of({{1, 3}, {1, 2}, {1, 3}, {0}}, 5);  // counts 1 3 1 2 0
  const auto ranker = make_popularity(*made.backend, train.view());
  const TopLists lists = ranker->rank({0, 3}, {}, {}, 5);
  CHECK(list_of(lists, 0) == std::vector<int32_t>{1, 3, 0, 2, 4});
  CHECK(lists.score == std::vector<float>{3, 2, 1, 1, 0, 3, 2, 1, 1, 0});
  const DeviceCsr mask(*made.backend, train.view());
  const TopLists masked = ranker->rank({0, 3}, {mask.view()}, {}, 5);
  CHECK(list_of(masked, 0) == std::vector<int32_t>{0, 2, 4, -1, -1});
  CHECK(list_of(masked, 1) == std::vector<int32_t>{1, 3, 2, 4, -1});
}

TEST_CASE("emb-knn: cosine of the history's mean vector and each item's", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  const SmallData data = small_data(81, 20, 12, 9);
  const auto ranker = make_embedding_knn(*made.backend, data.language(), data.train.view());
  const TopLists lists = ranker->rank(all_of(data.users()), {}, {}, data.items);
  Rows nodes = node_vectors(data.lists, data.language_rows());
  for (auto& row : nodes) plain_normalise(row);
  for (int64_t u = 0; u < data.users(); ++u) {
    double before = 2;
    std::set<int32_t> seen;
    for (int64_t c = 0; c < data.items; ++c) {
      const int32_t item = lists.items_of(u)[c];
      REQUIRE(item >= 0);
      seen.insert(item);
      Sum want;
      for (size_t d = 0; d < nodes[size_t(u)].size(); ++d)
        want.add(nodes[size_t(u)][d] * nodes[size_t(data.users() + item)][d]);
      const double score = lists.score[size_t(u * data.items + c)];
      // the dot product of two vectors that were each divided by a rounded norm
      const double bound = rounding_bound(want) + 4 * rounding_bound(data.width, 1.0);
      INFO("user " << u << ", item " << item);
      CHECK(std::abs(score - want.value) <= bound);
      CHECK(score <= before);
      before = score;
    }
    CHECK(int64_t(seen.size()) == data.items);
  }
}

TEST_CASE("random: an order of all items per user, drawn by the seed alone", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  constexpr int64_t kUsers = 2000, kItems = 6;
  const HostCsr train = csr_of(Lists(kUsers, {0}), kItems);
  const TopLists lists =
      make_random(*made.backend, train.view(), 0, 5)->rank(all_of(kUsers), {}, {}, kItems);
  std::vector<int64_t> first(kItems, 0);
  for (int64_t u = 0; u < kUsers; ++u) {
    const std::vector<int32_t> list = list_of(lists, u);
    ++first[size_t(list[0])];
    CHECK(std::set<int32_t>(list.begin(), list.end()).size() == kItems);
  }
  // Each item leads for a binomial number of users; 5 deviations are passed once in 10^6 tries.
  const double mean = double(kUsers) / kItems, deviation = std::sqrt(mean * (1 - 1.0 / kItems));
  for (int64_t count : first) CHECK(std::abs(double(count) - mean) < 5 * deviation);

  // The same for a user alone, whatever the thread count; another order with another seed.
  const MadeBackend single = make_backend("cpu", 1);
  const auto again = make_random(*single.backend, train.view(), 0, 5);
  CHECK(list_of(again->rank({77}, {}, {}, kItems), 0) == list_of(lists, 77));
  const TopLists other =
      make_random(*made.backend, train.view(), 0, 6)->rank(all_of(kUsers), {}, {}, kItems);
  CHECK(other.item != lists.item);
}

TEST_CASE("pop-random: the pool of the most popular before all others", "[engine]") {
  const MadeBackend made = make_backend("cpu", 2);
  // counts 1 3 2 2 0: with a tie for the pool's last place, the smaller id
  const HostCsr train = csr_of({{1, 3}, {1, 2}, {1, 2, 3}, {0}}, 5);
  const auto ranker = make_random(*made.backend, train.view(), 2, 9);
  const TopLists lists = ranker->rank({0, 1, 2, 3}, {}, {}, 5);
  for (int64_t u = 0; u < 4; ++u) {
    std::vector<int32_t> list = list_of(lists, u);
    std::sort(list.begin(), list.begin() + 2);
    std::sort(list.begin() + 2, list.end());
    CHECK(list == std::vector<int32_t>{1, 2, 0, 3, 4});
  }
  const DeviceCsr mask(*made.backend, train.view());
  const TopLists masked = ranker->rank({0}, {mask.view()}, {}, 5);
  CHECK(masked.items_of(0)[0] == 2);
  // A pool of more than all items is all items.
  CHECK(make_random(*made.backend, train.view(), 50, 9)->rank({0}, {}, {}, 5).item ==
        make_random(*made.backend, train.view(), 0, 9)->rank({0}, {}, {}, 5).item);
}

}  // namespace rec::test
