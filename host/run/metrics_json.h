// Metrics as metrics.jsonl and --json have them.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "host/run/named_metrics.h"

namespace rec {

// One JSON object, keys in that order; and back, which throws the library's exceptions.
nlohmann::ordered_json to_json(const NamedMetrics& metrics);
NamedMetrics named_metrics_of(const nlohmann::ordered_json& json);

}  // namespace rec
