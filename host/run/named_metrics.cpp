#include "host/run/named_metrics.h"

namespace rec {

NamedMetrics named_means(const std::vector<int64_t>& cutoffs,
                         const std::vector<MetricValues>& values) {
  NamedMetrics named;
  for (size_t c = 0; c < cutoffs.size(); ++c)
    for (Metric metric : kAllMetrics)
      named.push_back({metric_key(metric, cutoffs[c]), values[c][size_t(metric)]});
  return named;
}

}  // namespace rec
