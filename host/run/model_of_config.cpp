#include "host/run/model_of_config.h"

#include <algorithm>

#include "host/formats/file_error.h"
#include "host/run/split_evaluator.h"

namespace rec {

Config fit_to(const Dataset& data, Config config) {
  config = resolve(std::move(config), data.language.width());
  config.batch = std::min(config.batch, data.train.entries());
  return config;
}

ModelSettings model_settings(const Config& config) {
  const bool mlp = config.projector == "mlp";
  ModelSettings settings;
  settings.projector = {mlp ? 2 : 1, config.hidden, config.width, mlp};
  settings.propagation_layers = int(config.layers);
  settings.score = config.score == "dot" ? Score::dot : Score::cosine;
  return settings;
}

TrainingSettings training_settings(const Config& config) {
  TrainingSettings settings;
  settings.objective.kind = config.objective == "bpr"       ? Objective::bpr
                            : config.objective == "softmax" ? Objective::softmax
                                                            : Objective::infonce;
  settings.objective.tau = float(config.tau);
  settings.adam.learning_rate = float(config.lr);
  settings.adam.weight_decay = float(config.weight_decay);
  settings.sampling =
      config.sampling == "interaction" ? SamplingRule::interaction : SamplingRule::user;
  settings.batch = config.batch;
  settings.negatives = config.negatives;
  return settings;
}

int64_t training_bytes(const Backend& backend, const Dataset& data, const Config& config) {
  const ModelSettings model = model_settings(config);
  const TrainingSettings training = training_settings(config);
  // One operation runs at a time.
  const int64_t scratch =
      std::max(Model::scratch_bytes(backend, model, data.train.view(), data.language.width()),
               Training::scratch_bytes(backend, training, data.items, config.width));
  return Model::bytes_needed(backend, model, data.train.view(), data.language.width()) +
         Training::bytes_needed(training, data.users, data.items, config.width) + scratch +
         SplitEvaluator::bytes_needed(data);
}

Monitor monitor_of(const Config& config) {
  const size_t at = config.monitor.find('@');
  const std::string name = config.monitor.substr(0, at);
  const auto metric = std::find_if(kAllMetrics.begin(), kAllMetrics.end(),
                                   [&](Metric m) { return metric_name(m) == name; });
  return {*metric, std::stoll(config.monitor.substr(at + 1))};
}

void require_language(const Dataset& data, const std::string& model) {
  if (!data.has_language())
    throw FileError(data.path + "/item_language.npy",
                    "is missing; " + model + " needs one language vector per item, [" +
                        std::to_string(data.items) + ", width], float32 or float16");
}

}  // namespace rec
