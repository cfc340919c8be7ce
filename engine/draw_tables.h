// What a training draws from (kernels/sampler), in a backend's memory: made once from the graph.
#pragma once
#include <cstdint>

#include "engine/backend.h"
#include "engine/buffer.h"
#include "engine/graph.h"

namespace rec {

// What negatives are drawn by, among the items of her domain that are not the user's.
enum class NegativeDistribution {
  uniform,
  popularity,  // degree^a of the item, rounded: an item without training interactions never
};

struct TrainingSettings;

class DrawTables {
 public:
  // graph must outlive the tables. Throws std::invalid_argument when domains or shares do not fit
  // it, or when a user leaves no negatives.
  DrawTables(Backend& backend, const Graph& graph, const TrainingSettings& settings);

  SamplerTables view() const;
  static int64_t bytes_needed(const TrainingSettings& settings, int64_t items, int64_t edges);

 private:
  const Graph& graph_;
  SamplingRule rule_;
  Array<DomainStart> domain_start_;
  Array<int64_t> before_item_, outside_before_edge_;
  Array<PlaceBlock> block_;
};

}  // namespace rec
