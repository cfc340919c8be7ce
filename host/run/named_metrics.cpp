#include "host/run/named_metrics.h"

#include <nlohmann/json.hpp>

namespace rec {

NamedMetrics named_means(const std::vector<int64_t>& cutoffs,
                         const std::vector<MetricValues>& values) {
  NamedMetrics named;
  for (size_t c = 0; c < cutoffs.size(); ++c)
    for (Metric metric : kAllMetrics)
      named.push_back({metric_key(metric, cutoffs[c]), values[c][size_t(metric)]});
  return named;
}

nlohmann::ordered_json to_json(const NamedMetrics& metrics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metrics) json[key] = value;
  return json;
}

NamedMetrics named_metrics_of(const nlohmann::ordered_json& json) {
  NamedMetrics metrics;
  for (const auto& [key, value] : json.get_ref<const nlohmann::ordered_json::object_t&>())
    metrics.push_back({key, value.get<double>()});
  return metrics;
}

}  // namespace rec
