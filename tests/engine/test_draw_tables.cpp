// What training draws from: weights by popularity, domains and their shares, what is refused, and
// batches of several domains.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tests/support/counting_backend.h"
#include "tests/support/on_backends.h"
#include "tests/support/small_data.h"
#include "tests/support/trained.h"

namespace rec::test {
namespace {

// A graph of these lists, and the tables of some settings, on a backend that counts.
struct Tables {
  CountingBackend backend;
  HostCsr train;
  Graph graph;
  int64_t bytes_before;
  DrawTables tables;

  Tables(const std::string& device, const Lists& lists, int64_t items, const TrainingSettings& s)
      : backend(make_backend(device, 1).backend),
        train(csr_of(lists, items)),
        graph(backend, train.view()),
        bytes_before(backend.bytes()),
        tables(backend, graph, s) {}
  template <class T>
  std::vector<T> on_host(VectorView<const T> v) {
    std::vector<T> host(static_cast<size_t>(v.size));
    if (v.size > 0) backend.download(host.data(), v.data, sizeof(T) * host.size());
    return host;
  }
};

TrainingSettings by_popularity(double exponent) {
  TrainingSettings s = settings();
  s.negative_distribution = NegativeDistribution::popularity;
  s.negative_exponent = exponent;
  return s;
}

std::string refusal(const Lists& lists, int64_t items, const TrainingSettings& s) {
  try {
    const Tables made("cpu", lists, items, s);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

const Lists kFive = {{0}, {0, 1}, {0, 2}, {}, {0, 1}};  // degrees 4, 2, 1 and 0

}  // namespace

TEST_CASE("draw tables: weights by popularity", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  struct Case {
    double exponent;
    std::vector<int64_t> weight;
  };
  const int64_t whole = 1 << 30;
  for (const Case& c :
       {Case{1, {whole, whole / 2, whole / 4, 0}}, Case{2, {whole, whole / 4, whole / 16, 0}},
        // 2^30 / sqrt(2) = 759250124.99
        Case{0.5, {whole, 759250125, whole / 2, 0}}, Case{1000, {whole, 1, 1, 0}}}) {
    CAPTURE(c.exponent);
    Tables made(device, kFive, 4, by_popularity(c.exponent));
    const SamplerTables view = made.tables.view();
    std::vector<int64_t> before = {0}, outside;
    for (int64_t weight : c.weight) before.push_back(before.back() + weight);
    for (const std::vector<int32_t>& list : kFive)
      for (size_t k = 0; k < list.size(); ++k)
        outside.push_back(before[size_t(list[k])] - (k == 1 ? c.weight[0] : 0));
    CHECK(made.on_host(view.weights.before_item) == before);
    CHECK(made.on_host(view.weights.outside_before_edge) == outside);
    CHECK(view.domain_start.size == 0);
    CHECK(view.block.size == 0);
  }
}

TEST_CASE("draw tables: in each domain the most popular item weighs the same", "[engine]") {
  TrainingSettings s = by_popularity(1);
  s.domains = {{3, 3}, {3, 3}};
  Tables made("cpu", {{0}, {0, 1}, {0, 2}, {4}, {4}, {5}}, 6, s);  // nobody has item 3
  const int64_t whole = 1 << 30;
  std::vector<int64_t> before = {0};
  for (int64_t weight : {whole, whole / 3, whole / 3, int64_t{0}, whole, whole / 2})
    before.push_back(before.back() + weight);
  CHECK(made.on_host(made.tables.view().weights.before_item) == before);
}

TEST_CASE("draw tables: shares become blocks by largest remainder", "[engine]") {
  struct Case {
    std::vector<double> shares;
    std::vector<int64_t> first_place;  // of 7 places
  };
  // user 1 is not active
  const Lists lists = {{0, 1}, {}, {3, 4, 5}, {8}, {9}};
  for (const Case& c : {Case{{0.5, 0.3, 0.2}, {0, 4, 6}},  // 3.5, 2.1, 1.4
                        Case{{1, 1, 1}, {0, 3, 5}},        // 2 and a third each: the first has it
                        Case{{1, 1e-9, 5}, {0, 1, 1}},     // 1.17, 0, 5.83
                        Case{{1e-9, 1e-9, 1}, {0, 0, 0}}, Case{{30, 20, 20}, {0, 3, 5}}}) {
    CAPTURE(c.shares);
    TrainingSettings s = settings();
    s.domains = {{2, 3}, {1, 4}, {2, 3}};
    s.domain_shares = c.shares;
    Tables made("cpu", lists, 10, s);
    const std::vector<PlaceBlock> block = made.on_host(made.tables.view().block);
    REQUIRE(block.size() == 3);
    for (size_t d = 0; d < 3; ++d) {
      CAPTURE(d);
      CHECK(block[d].first_place == c.first_place[d]);
      CHECK(block[d].first_active == std::vector<int64_t>{0, 1, 2}[d]);
      CHECK(block[d].active_users == std::vector<int64_t>{1, 1, 2}[d]);
      CHECK(block[d].first_edge == std::vector<int64_t>{0, 2, 5}[d]);
      CHECK(block[d].edges == std::vector<int64_t>{2, 3, 2}[d]);
    }
  }
}

TEST_CASE("draw tables: memory is what was announced", "[engine]") {
  TrainingSettings all = by_popularity(0.75);
  all.domains = {{2, 3}, {3, 7}};
  TrainingSettings shared = all, uniform = all;
  shared.domain_shares = {1, 2};
  uniform.negative_distribution = NegativeDistribution::uniform;
  const Lists lists = {{0, 1}, {2}, {3, 4, 5}, {8}, {9}};
  for (const TrainingSettings& s : {settings(), by_popularity(2), uniform, all, shared}) {
    const Tables made("cpu", lists, 10, s);
    CHECK(made.backend.bytes() - made.bytes_before == DrawTables::bytes_needed(s, 10, 8));
  }
  CHECK(DrawTables::bytes_needed(settings(), 10, 8) == 0);
}

TEST_CASE("draw tables: a user who leaves no negatives is refused", "[engine]") {
  const Lists lists = {{0, 1}, {}, {0, 1, 2}, {0, 1, 2}};
  TrainingSettings s = settings();
  CHECK(refusal(lists, 3, s) == "training: user 2 owns every item and has no negatives");
  CHECK(refusal(lists, 4, s).empty());
  // Item 3 is nobody's: there is no popularity to draw it by.
  CHECK(refusal(lists, 4, by_popularity(0.75)) ==
        "training: user 2 owns every item that anybody has and has no negatives by popularity; "
        "draw them uniformly");
  CHECK(refusal({{0, 1}, {}, {0, 1, 2}, {3}}, 4, by_popularity(0.75)).empty());
  s.domains = {{1, 3}, {2, 3}, {1, 0}};  // the last has a user, but no items
  CHECK(refusal({{0, 1}, {3}, {3, 4, 5}, {}}, 6, s) ==
        "training: user 1 of domain 2 owns every item of it and has no negatives");
  CHECK(refusal({{0, 1}, {3}, {3, 5}, {}}, 6, s).empty());
  s.negative_distribution = NegativeDistribution::popularity;
  CHECK(
      refusal({{0, 1}, {3}, {3, 5}, {}}, 6, s) ==
      "training: user 0 of domain 1 owns every item of it that anybody has and has no negatives by "
      "popularity; draw them uniformly");
}

TEST_CASE("draw tables: domains, shares and exponents that do not fit are refused", "[engine]") {
  const Lists lists = {{0, 1}, {2}, {3, 4}, {4}};
  const auto refused = [&](std::vector<Domain> domains, std::vector<double> shares = {}) {
    TrainingSettings s = settings();
    s.domains = std::move(domains);
    s.domain_shares = std::move(shares);
    return refusal(lists, 6, s);
  };
  CHECK(refused({{2, 3}, {2, 3}}).empty());
  CHECK_THAT(refused({{2, 3}, {1, 3}}), Catch::Contains("together must have the graph's users"));
  CHECK_THAT(refused({{2, 3}, {2, 2}}), Catch::Contains("together must have the graph's users"));
  CHECK_THAT(refused({{-1, 3}, {5, 3}}), Catch::Contains("fewer than no users"));
  CHECK_THAT(refused({{2, 4}, {2, 2}}),
             Catch::Contains("user 0 of domain 2 has an item of another"));
  CHECK_THAT(refused({{3, 3}, {1, 3}}),
             Catch::Contains("user 2 of domain 1 has an item of another"));
  CHECK_THAT(refused({{2, 3}, {2, 3}}, {1}), Catch::Contains("every domain needs a share"));
  CHECK_THAT(refused({}, {1, 1}), Catch::Contains("every domain needs a share"));
  CHECK(refused({}, {2}).empty());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double share : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()})
    CHECK_THAT(refused({{2, 3}, {2, 3}}, {1, share}), Catch::Contains("greater than 0"));
  CHECK_THAT(refused({{2, 3}, {0, 0}, {2, 3}}, {1, 1, 1}),
             Catch::Contains("domain 2 has a share and no training interactions"));
  for (double exponent : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()})
    CHECK_THAT(refusal(lists, 6, by_popularity(exponent)), Catch::Contains("exponent"));
}

TEST_CASE("training: domains draw from their own items, and as often as their shares say",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SamplingRule rule =
      GENERATE(SamplingRule::user, SamplingRule::interaction, SamplingRule::random_user);
  const bool popularity = GENERATE(false, true);
  CAPTURE(device, int(rule), popularity);
  const SmallData a = small_data(131, 30, 20), b = small_data(132, 60, 30);
  const SmallData both = joined(a, b);
  TrainingSettings s = settings(rule);
  s.domains = {{a.users(), a.items}, {b.users(), b.items}};
  s.domain_shares = {3, 1};
  if (popularity) s.negative_distribution = NegativeDistribution::popularity;
  s.batch = both.train.entries();  // an epoch in one batch
  Trained t(device, both, s);
  t.start();
  t.steps(1);
  const std::vector<int32_t> user = to_host(*t.backend, t.training.batch().user);
  const MatrixView<int32_t> there = t.training.batch().negative;
  const std::vector<int32_t> negative =
      to_host(*t.backend, VectorView<int32_t>(there.data, there.rows * there.cols));
  int64_t of_b = 0;
  for (size_t row = 0; row < user.size(); ++row) {
    const bool in_b = user[row] >= a.users();
    of_b += in_b;
    const std::vector<int32_t>& hers = both.lists[size_t(user[row])];
    for (size_t j = 0; j < 5; ++j) {
      const int32_t item = negative[row * 5 + j];
      CHECK((item >= a.items) == in_b);
      CHECK_FALSE(std::binary_search(hers.begin(), hers.end(), item));
    }
  }
  // the nearest whole number to a quarter; at a half, the first domain's
  const int64_t edges = both.train.entries();
  CHECK(of_b == (edges + 1) / 4);
}

}  // namespace rec::test
