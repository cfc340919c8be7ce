// From settings in words to the engine's own.
#pragma once
#include "engine/evaluator.h"
#include "engine/model.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/joint_dataset.h"

namespace rec {

// What training on this data runs with: config resolved, and the batch no larger than train.
// Throws std::invalid_argument where the config's domains are not the data's.
Config fit_to(const JointDataset& data, Config config);

// What the best epoch is chosen on, and training stops by.
Split selecting_split(const Config& config);

// Of a config fitted to its dataset.
ModelSettings model_settings(const Config& config);
// domains: of datasets trained together; empty for one.
TrainingSettings training_settings(const Config& config, std::vector<Domain> domains = {});

// The data's domains where there are several, as training_settings takes them.
std::vector<Domain> trained_domains(const JointDataset& data);

// How large a training's operations get, those of its evaluations included.
OperationSizes operation_sizes(const Backend& backend, const JointDataset& data,
                               const Config& config);
// Bytes that training takes in backend memory at most: the model, two batches, the masks and lists
// of evaluations, and what the backend takes for itself.
int64_t training_bytes(const Backend& backend, const JointDataset& data, const Config& config);

// What tables call the model of a resolved config: "alpharec", or, where it is one of the paper's
// ablations, "alpharec w/o MLP"; "alpharec projector of 3 layers". With compat it says so.
std::string model_label(const Config& config);

// "recall@20" -> its metric and cut-off; the config has checked the form.
struct Monitor {
  Metric metric;
  int64_t k;
};
Monitor monitor_of(const Config& config);

// Refuses a dataset without language vectors for a model that needs them.
void require_language(const Dataset& data, const std::string& model);

}  // namespace rec
