// Metrics by their names, as files and tables give them: "recall@20" and its value.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/metrics.h"

namespace rec {

using NamedMetrics = std::vector<std::pair<std::string, double>>;

// values[c]: at cutoffs[c]. All metrics at all cut-offs, as metrics.jsonl and --json name them.
NamedMetrics named_means(const std::vector<int64_t>& cutoffs,
                         const std::vector<MetricValues>& values);

}  // namespace rec
