// From settings in words to the engine's own.
#pragma once
#include "engine/evaluator.h"
#include "engine/model.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"

namespace rec {

ModelSettings model_settings(const Config& config);  // of a resolved config
TrainingSettings training_settings(const Config& config);

// Which splits a ranking for `split` leaves out: every other one, or train alone (mask = train).
std::vector<Split> masked_splits(Split split, const std::string& mask);
std::string split_name(Split split);

// "recall@20" -> its metric and cut-off; the config has checked the form.
struct Monitor {
  Metric metric;
  int64_t k;
};
Monitor monitor_of(const Config& config);

// Refuses a dataset without language vectors for a model that needs them.
void require_language(const Dataset& data, const std::string& model);

}  // namespace rec
