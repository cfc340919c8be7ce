// Targets, stand-ins for queries, and the metrics of a sweep.
#include <catch2/catch.hpp>

#include <cmath>
#include <map>

#include "engine/intention_sweep.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) sum += double(a[c]) * double(b[c]);
  return sum;
}

}  // namespace

TEST_CASE("intention: targets are uniform among the items that have a query", "[engine]") {
  const HostCsr test = csr_of({{0, 2, 3, 5}, {1}, {}, {1, 4}}, 6);
  const std::vector<uint8_t> has_query = {1, 0, 1, 1, 1, 0};
  std::map<int32_t, int> drawn;
  constexpr int kSeeds = 3000;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<IntentionTarget> targets = draw_targets(test.view(), has_query, seed);
    REQUIRE(targets.size() == 2);  // users 1 and 2 have no item with a query
    CHECK(targets[0].user == 0);
    CHECK((targets[1].user == 3 && targets[1].item == 4));
    ++drawn[targets[0].item];
  }
  CHECK(drawn.size() == 3);
  const double deviation = std::sqrt(kSeeds * (1.0 / 3) * (2.0 / 3));
  for (int32_t item : {0, 2, 3}) CHECK(std::abs(drawn[item] - kSeeds / 3.0) < 5 * deviation);
  const auto again = [&] { return draw_targets(test.view(), has_query, 7)[0].item; };
  CHECK(again() == again());
}

TEST_CASE("intention: a stand-in for a query has the cosine asked for", "[engine]") {
  const SmallData data = small_data(127, 4, 9, 33);
  std::vector<std::vector<float>> made;
  for (int32_t item = 0; item < data.items; ++item)
    for (double cosine : {0.6, 0.0, 1.0, -0.25}) {
      const float* row = data.language().row(item);
      const std::vector<float> z(row, row + data.width);
      std::vector<float> query(z.size());
      noisy_query({row, data.width}, cosine, 5, item, query.data());
      CAPTURE(item, cosine);
      CHECK(dot(query, query) == Approx(dot(z, z)).epsilon(1e-6));
      CHECK(dot(query, z) / dot(z, z) == Approx(cosine).margin(1e-6));
      if (cosine == 0.0) made.push_back(query);
    }
  // No two items get one direction of noise: 33 values leave room for all.
  for (size_t a = 0; a < made.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      CHECK(std::abs(dot(made[a], made[b])) <
            0.8 * std::sqrt(dot(made[a], made[a]) * dot(made[b], made[b])));
  const float lone = 2;
  float out = 0;
  CHECK_THROWS_AS(noisy_query({&lone, 1}, 0.6, 1, 0, &out), std::invalid_argument);
}

TEST_CASE("intention: a sweep's metrics, against each target's place", "[engine]") {
  const SmallData data = small_data(131, 30, 40);
  const std::unique_ptr<Backend> backend = make_backend("cpu", 1).backend;
  Model model(*backend, {{1, 0, 4, false}, 2, Score::cosine}, data.language(), data.train.view());
  model.parameters().initialise(*backend, 3);
  model.embed();
  // Her test items: the two after her first item, where they are not hers; user 0 has one alone.
  Lists test(size_t(data.users()));
  for (size_t u = 0; u < test.size(); ++u)
    for (int32_t step : {3, 11}) {
      const int32_t item = (int32_t(u) * 7 + step) % 39;
      const auto& own = data.lists[u];
      if ((u > 0 || step == 3) && !std::binary_search(own.begin(), own.end(), item))
        test[u].push_back(item);
    }
  for (auto& list : test) std::sort(list.begin(), list.end());
  const HostCsr split = csr_of(test, data.items);
  const std::vector<IntentionTarget> targets =
      draw_targets(split.view(), std::vector<uint8_t>(size_t(data.items), 1), 11);
  std::vector<float> query(targets.size() * 4);
  for (size_t t = 0; t < targets.size(); ++t)
    project_vectors(*backend, model.settings().projector, model.parameters(),
                    data.language().rows_from(targets[t].item, 1), query.data() + 4 * t);
  const MatrixView<const float> queries(query.data(), int64_t(targets.size()), 4);
  IntentionRanker ranker(model, data.train.view(), {data.train.view()}, {});
  for (double alpha : {0.0, 0.5}) {
    const IntentionPoint point = measure_intention(ranker, targets, queries, split.view(), alpha);
    double hr_5 = 0, ndcg_5 = 0, hr_20 = 0, recall = 0, with_others = 0;
    for (size_t t = 0; t < targets.size(); ++t) {
      const auto [user, target] = targets[t];
      const TopLists whole =
          ranker.rank({user}, queries.rows_from(int64_t(t), 1), alpha, data.items);
      double hits = 0, others = 0;
      for (int64_t place = 0; place < data.items && whole.item[size_t(place)] >= 0; ++place) {
        const int32_t item = whole.item[size_t(place)];
        if (item == target) {
          hr_5 += place < 5;
          hr_20 += place < 20;
          ndcg_5 += place < 5 ? 1 / std::log2(double(place + 2)) : 0;
        } else if (std::count(test[size_t(user)].begin(), test[size_t(user)].end(), item) > 0) {
          others += 1;
          hits += place < 20;
        }
      }
      if (others == 0) continue;
      with_others += 1;
      recall += hits / others;
    }
    const double count = double(targets.size());
    CHECK(point.alpha == alpha);
    CHECK(point.hr_5 == Approx(hr_5 / count));
    CHECK(point.ndcg_5 == Approx(ndcg_5 / count));
    CHECK(point.hr_20 == Approx(hr_20 / count));
    CHECK(point.others_recall_20 == Approx(recall / with_others));
    CHECK(with_others < count);  // the case has a user with no other test item
  }
}

}  // namespace rec::test
