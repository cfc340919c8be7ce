#include "engine/metrics.h"

#include <algorithm>
#include <cmath>

namespace rec {

std::string_view metric_name(Metric metric) {
  switch (metric) {
    case Metric::recall: return "recall";
    case Metric::ndcg: return "ndcg";
    case Metric::hr: return "hr";
    case Metric::precision: return "precision";
    case Metric::map: return "map";
    case Metric::mrr: return "mrr";
  }
  return "";
}

std::string metric_key(Metric metric, int64_t k) {
  return std::string(metric_name(metric)) + "@" + std::to_string(k);
}

MetricValues user_metrics(VectorView<const int32_t> list, VectorView<const int32_t> relevant,
                          int64_t k) {
  double hits = 0, gain = 0, precision_at_hits = 0, first_hit = 0;
  for (int64_t position = 0; position < std::min(k, list.size); ++position) {
    const int32_t item = list[position];
    if (item < 0 || !std::binary_search(relevant.begin(), relevant.end(), item)) continue;
    const double rank = double(position + 1);
    ++hits;
    gain += 1.0 / std::log2(rank + 1.0);
    precision_at_hits += hits / rank;
    if (first_hit == 0) first_hit = rank;
  }
  double ideal = 0;
  for (int64_t position = 0; position < std::min(k, relevant.size); ++position)
    ideal += 1.0 / std::log2(double(position + 2));

  MetricValues values{};
  values[size_t(Metric::recall)] = hits / double(relevant.size);
  values[size_t(Metric::ndcg)] = gain / ideal;
  values[size_t(Metric::hr)] = hits > 0 ? 1.0 : 0.0;
  values[size_t(Metric::precision)] = hits / double(k);
  values[size_t(Metric::map)] = hits > 0 ? precision_at_hits / hits : 0.0;
  values[size_t(Metric::mrr)] = first_hit > 0 ? 1.0 / first_hit : 0.0;
  return values;
}

}  // namespace rec
