// Users never seen, on the frozen graph and on the graph rebuilt with them: a thousand random ones,
// each value within a bound of its own that is carried through the model beside it in double.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <random>

#include "engine/new_user.h"
#include "tests/support/agreement.h"
#include "tests/support/backend_memory.h"
#include "tests/support/bounded_model.h"
#include "tests/support/on_backends.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

constexpr int kCases = 1000;
constexpr int kMostLayers = 4;

HostCsr one_history(const std::vector<int32_t>& history, int64_t items) {
  return csr_of({history}, items);
}

struct Served {
  SmallData data;
  ProjectorShape shape{2, 7, 5, true};
  int layers;
  Score score;
  std::unique_ptr<Backend> backend;
  Model model;
  NewUsers users;

  Served(const SmallData& small, int k, Score of, const std::string& device = "cpu")
      : data(small),
        layers(k),
        score(of),
        backend(make_backend(device, 1).backend),
        model(*backend, {shape, layers, score}, data.language(), data.train.view()),
        users(embedded(), data.language(), data.train.view()) {}
  Model& embedded() {
    model.parameters().initialise(*backend, 103);
    model.embed();
    return model;
  }
  std::vector<float> frozen(const std::vector<int32_t>& history) {
    return users.vectors(one_history(history, data.items).view(), {0});
  }
  std::vector<float> slab() { return to_host(*backend, model.parameters().slabs().weight); }
  // The graph rebuilt with her, in double, every user projected from her mean (0) or from her
  // items' hidden layers (the largest number).
  BoundedRows rebuilt(const std::vector<int32_t>& history, int64_t hybrid_degree) {
    Lists lists = data.lists;
    lists.push_back(history);
    BoundedModel want(lists, data.language_rows(),
                      parameters_in(shape, model.parameters().table(), slab()), layers,
                      hybrid_degree, Precision::fp32);
    want.forward();
    return scored(want.e);
  }
  // Whichever way each node's e0 went: errors add up no further than both ways' together.
  BoundedRows rebuilt(const std::vector<int32_t>& history) {
    BoundedRows rows = rebuilt(history, 0);
    const BoundedRows other = rebuilt(history, std::numeric_limits<int64_t>::max());
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t c = 0; c < rows[r].size(); ++c) rows[r][c].error += other[r][c].error;
    return rows;
  }
  BoundedRows scored(BoundedRows rows) const {
    BoundedRow norm;
    if (score == Score::cosine)
      for (BoundedRow& row : rows) row = BoundedModel::normalised(row, norm);
    return rows;
  }
};

struct Case {
  uint64_t seed;
  int layers;
  Score score;
  SmallData data;
  std::vector<int32_t> history;  // one item or more; the last one is nobody's

  explicit Case(uint64_t number) : seed(number), layers(0), score(Score::cosine) {
    std::mt19937_64 random(number);
    const int64_t users = 3 + int64_t(random() % 10), items = 6 + int64_t(random() % 8);
    data = small_data(random(), users, items, 6);
    layers = int(random() % (kMostLayers + 1));
    score = random() % 2 == 0 ? Score::cosine : Score::dot;
    const uint64_t share = 1 + random() % 4;  // of the items, in quarters
    for (int32_t i = 0; i < items; ++i)
      if (random() % 4 < share) history.push_back(i);
    if (history.empty()) history.push_back(int32_t(random() % uint64_t(items)));
  }
  std::string text() const {
    return "case " + std::to_string(seed) + ", K = " + std::to_string(layers) +
           (score == Score::cosine ? ", cosine" : ", dot");
  }
};

// (e0_u + sum_{i in h} S_i / sqrt(n (d_i + 1))) / (K + 1), S_i = sum_{k < K} e_i^(k)
std::vector<double> by_formula(Served& served, const std::vector<int32_t>& history) {
  Lists lists = served.data.lists;
  lists.push_back(history);
  const std::vector<float> slab = served.slab();
  const std::vector<double> parameter(slab.begin(), slab.end());
  const auto e0_of = [&](const Lists& of) {
    return plain_e0(of, served.data.language_rows(), served.shape,
                    served.model.parameters().table(), parameter);
  };
  const size_t users = served.data.lists.size();
  std::vector<double> e = e0_of(lists)[users];
  const std::vector<Rows> frozen =
      plain_layers(served.data.lists, e0_of(served.data.lists), served.layers);
  for (int32_t i : history) {
    double degree = 1;
    for (const auto& list : served.data.lists)
      degree += double(std::count(list.begin(), list.end(), i));
    for (int k = 0; k < served.layers; ++k)
      for (size_t c = 0; c < e.size(); ++c)
        e[c] +=
            frozen[size_t(k)][users + size_t(i)][c] / std::sqrt(double(history.size()) * degree);
  }
  for (double& value : e) value /= double(served.layers + 1);
  if (served.score == Score::cosine) plain_normalise(e);
  return e;
}

}  // namespace

TEST_CASE("new user: as in a graph rebuilt with her, for K = 0 and 1", "[engine]") {
  int cases = 0;
  for (uint64_t number = 0; cases < kCases; ++number) {
    const Case each(number);
    if (each.layers > 1) continue;
    ++cases;
    Served served(each.data, each.layers, each.score);
    Comparison comparison;
    comparison.compare(each.text(), served.frozen(each.history),
                       served.rebuilt(each.history)[size_t(each.data.users())]);
    INFO(comparison.agreement.text());
    REQUIRE(comparison.agreement.holds());
  }
}

TEST_CASE("new user: the stated formula on the frozen graph, for K = 2 to 4", "[engine]") {
  for (uint64_t number = 0; number < 100; ++number) {
    const Case each(number);
    if (each.layers < 2) continue;
    Served served(each.data, each.layers, each.score);
    const std::vector<float> got = served.frozen(each.history);
    const std::vector<double> want = by_formula(served, each.history);
    double largest = 0;
    for (double value : want) largest = std::max(largest, std::abs(value));
    for (size_t c = 0; c < want.size(); ++c) {
      INFO(each.text() << ", column " << c << ": got " << got[c] << ", want " << want[c]);
      REQUIRE(std::abs(double(got[c]) - want[c]) <= kArrayBound * largest);
    }
  }
}

TEST_CASE("new user: rebuilt, every node is as in a graph that had her, for K = 0 to 4",
          "[engine]") {
  for (uint64_t number = 0; number < kCases; ++number) {
    const Case each(number);
    Served served(each.data, each.layers, each.score);
    // Someone else before her must leave nothing behind.
    const std::vector<int32_t> before = {0, int32_t(each.data.items - 1)};
    served.users.rebuilt({before.data(), 2});
    const Representations& got =
        served.users.rebuilt({each.history.data(), int64_t(each.history.size())});
    const BoundedRows want = served.rebuilt(each.history);
    Comparison comparison;
    comparison.compare(each.text(), to_host(*served.backend, got.scored()), flat(want));
    INFO(comparison.agreement.text());
    REQUIRE(comparison.agreement.holds());
  }
}

TEST_CASE("new user: lists and scores of several people, on every backend", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SmallData data = small_data(101);
  for (NewUserGraph graph : {NewUserGraph::frozen, NewUserGraph::rebuilt}) {
    Served served(data, 2, Score::cosine, device);
    CAPTURE(device, graph == NewUserGraph::frozen);
    // Of three people the second has no history and is not asked for.
    const HostCsr histories = csr_of({{0, 4, 9}, {}, {3}}, data.items);
    NewUserRanker ranker(served.model, served.users, histories.view(), graph);
    const DeviceCsr mask(*served.backend, histories.view());
    const TopLists lists = ranker.rank({2, 0}, {mask.view()}, {}, data.items);
    REQUIRE(lists.rows == 2);
    const std::vector<std::vector<int32_t>> shown = {{0, 1, 2, 4, 5, 6, 7, 8, 9},
                                                     {1, 2, 3, 5, 6, 7, 8}};
    const HostCsr wanted = csr_of(shown, data.items);
    const std::vector<float> score = ranker.scores({2, 0}, wanted.view());
    for (int64_t row = 0; row < 2; ++row) {
      const int32_t person = row == 0 ? 2 : 0;
      const HostCsr alone =
          one_history({histories.view().row(person), histories.view().row(person + 1)}, data.items);
      // One vector, whoever else was asked for.
      if (graph == NewUserGraph::frozen)
        CHECK(served.users.vectors(histories.view(), {person}) ==
              served.users.vectors(alone.view(), {0}));
      std::vector<std::pair<float, int32_t>> want;  // minus score, item: ascending is best first
      for (int64_t e = wanted.row_start[size_t(row)]; e < wanted.row_start[size_t(row + 1)]; ++e)
        want.emplace_back(-score[size_t(e)], wanted.col[size_t(e)]);
      std::sort(want.begin(), want.end());
      for (int64_t c = 0; c < data.items; ++c) {
        const bool is_there = c < int64_t(want.size());
        CHECK(lists.items_of(row)[c] == (is_there ? want[size_t(c)].second : -1));
        if (is_there)
          CHECK(std::abs(lists.score[size_t(row * lists.k + c)] + want[size_t(c)].first) <=
                rounding_bound(5, 1));  // of unit vectors
      }
    }
  }
}

TEST_CASE("new user: what is no history is refused", "[engine]") {
  const SmallData data = small_data(101);
  Served served(data, 2, Score::cosine);
  const std::vector<std::vector<int32_t>> none = {{}, {3, 3}, {4, 3}, {-1}, {10}};
  for (const auto& history : none) {
    CAPTURE(history.size());
    CHECK_THROWS_AS(served.users.rebuilt({history.data(), int64_t(history.size())}),
                    std::invalid_argument);
    CHECK_THROWS_AS(served.frozen(history), std::invalid_argument);
  }
}

TEST_CASE("new user: the overlap of lists, by hand", "[engine]") {
  const TopLists a{3, 3, {1, 2, 3, 4, -1, -1, -1, -1, -1}, {}};
  const TopLists b{3, 3, {3, 1, 9, 4, 5, 6, 7, 8, 9}, {}};
  CHECK(rank_overlap(a, b, 3) == Approx((2.0 / 3 + 1) / 2));
  CHECK(rank_overlap(a, b, 1) == Approx((0.0 + 1) / 2));
  CHECK_THROWS_AS(rank_overlap(a, b, 4), std::invalid_argument);
}

}  // namespace rec::test
