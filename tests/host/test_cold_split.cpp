// Splits with cold items or users: what moves and what stays, who is drawn, and that no interaction
// is lost.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "host/dataset/cold_split.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

constexpr int64_t kUsers = 40, kItems = 30;

// Every user's items dealt out: of five, three to train and one each to valid and test.
Dataset dealt() {
  const SmallData small = small_data(7, kUsers, kItems);
  Lists train, valid, test;
  for (const auto& list : small.lists) {
    std::vector<int32_t> parts[3];
    for (size_t n = 0; n < list.size(); ++n)
      parts[n % 5 == 3 ? 1 : n % 5 == 4 ? 2 : 0].push_back(list[n]);
    train.push_back(parts[0]);
    valid.push_back(parts[1]);
    test.push_back(parts[2]);
  }
  Dataset data;
  data.users = kUsers;
  data.items = kItems;
  data.train = csr_of(train, kItems);
  data.valid = csr_of(valid, kItems);
  data.test = csr_of(test, kItems);
  return data;
}

std::set<std::pair<int64_t, int32_t>> pairs(const HostCsr& m) {
  std::set<std::pair<int64_t, int32_t>> all;
  for (int64_t u = 0; u < m.rows; ++u) {
    CHECK(std::is_sorted(m.view().row(u), m.view().row(u) + m.view().degree(u)));
    for (int64_t e = 0; e < m.view().degree(u); ++e) all.emplace(u, m.view().row(u)[e]);
  }
  CHECK(int64_t(all.size()) == m.entries());
  return all;
}

// Of each item or user: its interactions in m.
std::vector<int64_t> counts(const HostCsr& m, Cold of) {
  std::vector<int64_t> count(size_t(of == Cold::items ? m.cols : m.rows), 0);
  for (const auto& [user, item] : pairs(m))
    ++count[of == Cold::items ? size_t(item) : size_t(user)];
  return count;
}

}  // namespace

TEST_CASE("cold split: the chosen lose what training knows of them, nothing else moves", "[host]") {
  const Dataset data = dealt();
  const Cold cold = GENERATE(Cold::items, Cold::users);
  for (double share : {0.1, 0.5, 0.9}) {
    CAPTURE(int(cold), share);
    const ColdSplit split = cold_split(data, cold, share, 101);
    const std::vector<int64_t> before = counts(data.train, cold), after = counts(split.train, cold);
    const int64_t known =
        std::count_if(before.begin(), before.end(), [](int64_t n) { return n > 0; });
    CHECK(split.among == known);
    CHECK(split.chosen == std::llround(share * double(known)));
    int64_t chosen = 0, moved = 0;
    std::set<int64_t> is_cold;
    for (size_t id = 0; id < before.size(); ++id) {
      if (before[id] == 0 || after[id] > 0) {
        CHECK(after[id] == before[id]);
        continue;
      }
      ++chosen;
      is_cold.insert(int64_t(id));
    }
    CHECK(chosen == split.chosen);
    const auto train = pairs(data.train), valid = pairs(data.valid), test = pairs(data.test);
    auto want_train = train, want_valid = valid, want_test = test;
    for (const auto& pair : train)
      if (is_cold.count(cold == Cold::items ? pair.second : pair.first) > 0) {
        ++moved;
        want_train.erase(pair);
        (cold == Cold::items ? want_test : want_valid).insert(pair);
      }
    for (const auto& pair : valid)
      if (cold == Cold::items && is_cold.count(pair.second) > 0) {
        ++moved;
        want_valid.erase(pair);
        want_test.insert(pair);
      }
    CHECK(split.moved == moved);
    CHECK(pairs(split.train) == want_train);
    CHECK(pairs(split.valid) == want_valid);
    CHECK(pairs(split.test) == want_test);
  }
}

TEST_CASE("cold split: a seed's draw is the same, and a smaller share's is part of it", "[host]") {
  const Dataset data = dealt();
  const auto cold_of = [&](double share, uint64_t seed) {
    const std::vector<int64_t> count =
        counts(cold_split(data, Cold::items, share, seed).train, Cold::items);
    std::set<size_t> cold;
    for (size_t i = 0; i < count.size(); ++i)
      if (count[i] == 0) cold.insert(i);
    return cold;
  };
  CHECK(cold_of(0.3, 101) == cold_of(0.3, 101));
  CHECK(cold_of(0.3, 101) != cold_of(0.3, 102));
  CHECK(cold_of(0.3, 101) != cold_of(0.3, 101 + (uint64_t{1} << 32)));
  const auto few = cold_of(0.1, 101), many = cold_of(0.3, 101);
  CHECK(std::includes(many.begin(), many.end(), few.begin(), few.end()));
}

TEST_CASE("cold split: every user is as likely as another", "[host]") {
  const Dataset data = dealt();
  constexpr int kDraws = 2000;
  std::vector<int64_t> times(size_t(kUsers), 0);
  int64_t chosen = 0, among = 0;
  const std::vector<int64_t> before = counts(data.train, Cold::users);
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const ColdSplit split = cold_split(data, Cold::users, 0.25, seed);
    chosen = split.chosen;
    among = split.among;
    for (int64_t u = 0; u < kUsers; ++u)
      times[size_t(u)] += before[size_t(u)] > 0 && split.train.view().degree(u) == 0;
  }
  const double share = double(chosen) / double(among);
  const double deviation = std::sqrt(kDraws * share * (1 - share));
  for (int64_t u = 0; u < kUsers; ++u) {
    CAPTURE(u, times[size_t(u)]);
    if (before[size_t(u)] == 0)
      CHECK(times[size_t(u)] == 0);
    else
      CHECK(std::abs(double(times[size_t(u)]) - kDraws * share) < 5 * deviation);
  }
}

TEST_CASE("cold split: a share that chooses none or all is refused", "[host]") {
  const Dataset data = dealt();
  for (Cold cold : {Cold::items, Cold::users})
    for (double share : {0.001, 0.999})
      CHECK_THROWS_AS(cold_split(data, cold, share, 101), std::invalid_argument);
}

}  // namespace rec::test
