#include "host/run/metrics_json.h"

#include <nlohmann/json.hpp>

namespace rec {

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
