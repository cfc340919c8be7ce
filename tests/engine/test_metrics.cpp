// The metrics on lists small enough to work out by hand.
#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

#include "engine/metrics.h"

namespace rec::test {
namespace {

struct Case {
  const char* name;
  std::vector<int32_t> list, relevant;
  int64_t k;
  MetricValues want;  // recall, ndcg, hr, precision, map, mrr
};

const double kGain2 = 1 / std::log2(3.0);  // of rank 2
const double kGain3 = 1 / std::log2(4.0);
const double kGain4 = 1 / std::log2(5.0);

const std::vector<Case> kCases = {
    {"hits at ranks 2 and 4 of 3 relevant",
     {5, 1, 7, 3, 9},
     {1, 3, 8},
     5,
     {2.0 / 3, (kGain2 + kGain4) / (1 + kGain2 + kGain3), 1, 2.0 / 5, (1.0 / 2 + 2.0 / 4) / 2,
      1.0 / 2}},
    {"the list is cut at k",
     {5, 1, 7, 3, 9},
     {1, 3, 8},
     3,
     {1.0 / 3, kGain2 / (1 + kGain2 + kGain3), 1, 1.0 / 3, 1.0 / 2, 1.0 / 2}},
    {"no hit", {5, 1, 7}, {0, 2}, 3, {0, 0, 0, 0, 0, 0}},
    {"a hit behind k is none", {5, 1, 7}, {7}, 2, {0, 0, 0, 0, 0, 0}},
    {"all hits", {4, 2}, {2, 4}, 2, {1, 1, 1, 1, 1, 1}},
    {"more relevant than k: the ideal has k items, recall still all",
     {4, 2},
     {1, 2, 3, 4, 6},
     2,
     {2.0 / 5, 1, 1, 1, 1, 1}},
    {"more relevant than k, one hit at rank 2",
     {0, 2},
     {1, 2, 3},
     2,
     {1.0 / 3, kGain2 / (1 + kGain2), 1, 1.0 / 2, 1.0 / 2, 1.0 / 2}},
    {"map is a mean over hits, not over relevant items",
     {8, 0, 0},
     {1, 2, 3, 8},
     3,
     {1.0 / 4, 1 / (1 + kGain2 + kGain3), 1, 1.0 / 3, 1, 1}},
    {"fewer candidates than k, padded",
     {6, 4, -1, -1},
     {4},
     4,
     {1, kGain2, 1, 1.0 / 4, 1.0 / 2, 1.0 / 2}},
    {"a list shorter than k", {6, 4}, {4}, 5, {1, kGain2, 1, 1.0 / 5, 1.0 / 2, 1.0 / 2}},
    {"an empty list", {}, {4}, 5, {0, 0, 0, 0, 0, 0}},
    {"k = 1", {4, 6}, {4, 6}, 1, {1.0 / 2, 1, 1, 1, 1, 1}},
};

}  // namespace

TEST_CASE("metrics: worked by hand", "[engine]") {
  for (const Case& c : kCases) {
    const MetricValues got = user_metrics({c.list.data(), int64_t(c.list.size())},
                                          {c.relevant.data(), int64_t(c.relevant.size())}, c.k);
    for (Metric metric : kAllMetrics) {
      const size_t m = size_t(metric);
      INFO(c.name << ", " << metric_name(metric) << ": got " << got[m] << ", want " << c.want[m]);
      CHECK(std::abs(got[m] - c.want[m]) <= 1e-15);  // sums of at most 3 doubles near 1
    }
  }
}

TEST_CASE("metrics: keys as files name them", "[engine]") {
  CHECK(metric_key(Metric::recall, 20) == "recall@20");
  CHECK(metric_key(Metric::ndcg, 5) == "ndcg@5");
  CHECK(metric_key(Metric::hr, 1) == "hr@1");
  CHECK(metric_key(Metric::precision, 10) == "precision@10");
  CHECK(metric_key(Metric::map, 3) == "map@3");
  CHECK(metric_key(Metric::mrr, 100) == "mrr@100");
}

}  // namespace rec::test
