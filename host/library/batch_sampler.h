// Batches of users, positives and negatives as training draws them (kernels/sampler), for steps of the caller's own.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/backend.h"
#include "engine/draw_tables.h"
#include "engine/training.h"
#include "host/library/place.h"
#include "host/library/placed_graph.h"

namespace rec {

struct SamplingRequest {
  int64_t batch = 0;      // 1 to the interactions there are
  int64_t negatives = 0;  // per row, 1 or more
  std::string rule = "user",
              distribution = "uniform";  // as the settings sampling, negative_distribution
  double exponent = 0.75;                // of popularity
  uint64_t seed = 0;
};

class BatchSampler {
 public:
  // interactions: a checked CSR (checks.h), which is copied. Throws std::invalid_argument where the request does not fit
  // it, or a user leaves no negatives.
  BatchSampler(CsrView interactions, const SamplingRequest& request);

  int64_t batch() const { return settings_.batch; }
  int64_t negatives() const { return settings_.negatives; }
  int64_t steps_per_epoch() const { return graph_.on_host().edges() / settings_.batch; }

  // user, positive [batch] and negative [batch, negatives], which lie in that place, are overwritten. epoch and step:
  // from 0 and below 2^32, or std::invalid_argument. Several threads may draw: one waits for the other. On a GPU the
  // first draw there, and of each epoch, waits for it.
  void draw(const Place& place, int64_t epoch, int64_t step, VectorView<int32_t> user,
            VectorView<int32_t> positive, MatrixView<int32_t> negative);

 private:
  // What is drawn from in a place, and the epoch that its clock stands at.
  struct Drawing {
    std::unique_ptr<Backend> backend;
    DrawTables tables;
    int64_t epoch = -1;
    Array<TrainingClock> clock;
  };
  Drawing& drawing_at(const Place& place);

  PlacedGraph graph_;
  TrainingSettings settings_;
  uint64_t seed_;
  std::mutex drawing_;
  std::map<int, Drawing> of_gpu_;  // the host's as -1
};

}  // namespace rec
