// Batches of users, positives and negatives as training draws them (kernels/sampler), for steps of the caller's own.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/backend.h"
#include "engine/batch.h"
#include "engine/draw_tables.h"
#include "engine/graph.h"
#include "engine/training.h"

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
  int64_t steps_per_epoch() const { return graph_.edges() / settings_.batch; }

  // user, positive [batch] and negative [batch, negatives] are overwritten. epoch and step: from 0 and below 2^32, or
  // std::invalid_argument. Several threads may draw: one waits for the other.
  void draw(int64_t epoch, int64_t step, VectorView<int32_t> user, VectorView<int32_t> positive,
            MatrixView<int32_t> negative);

 private:
  std::unique_ptr<Backend> backend_;
  Graph graph_;
  TrainingSettings settings_;
  DrawTables tables_;
  uint64_t seed_;
  std::mutex drawing_;
  Groupings groupings_;  // made with every draw, and not looked at
};

}  // namespace rec
