// The metrics of all-ranking, per user and averaged.
//
// With n relevant items and the hits among the first k of a user's list:
//   recall = hits / n          hr = 1 if hits > 0           precision = hits / k
//   ndcg   = DCG / IDCG, gain 1 / log2(rank + 1), the ideal truncated at min(k, n)
//   mrr    = 1 / (rank of the first hit), 0 without one
//   map    = mean over the hits of (precision at the hit's rank), 0 without one
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/common/views.h"

namespace rec {

enum class Metric { recall, ndcg, hr, precision, map, mrr };
inline constexpr std::array kAllMetrics = {Metric::recall,    Metric::ndcg, Metric::hr,
                                           Metric::precision, Metric::map,  Metric::mrr};

std::string_view metric_name(Metric metric);       // "recall"
std::string metric_key(Metric metric, int64_t k);  // "recall@20"

// One value per kAllMetrics.
using MetricValues = std::array<double, kAllMetrics.size()>;

// list: item ids, best first, -1 where there is none.
// relevant: the user's items, ascending, not empty.
MetricValues user_metrics(VectorView<const int32_t> list, VectorView<const int32_t> relevant,
                          int64_t k);

}  // namespace rec
