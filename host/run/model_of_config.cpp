#include "host/run/model_of_config.h"

#include <algorithm>

#include "engine/ranker.h"
#include "host/formats/file_error.h"
#include "host/run/split_evaluator.h"

namespace rec {

namespace {

// Of the evaluations that a training makes: of validation, with the monitor's cut-off, and of test.
std::vector<ListsAtOnce> evaluated_lists(const Dataset& data, const Config& config) {
  std::vector<int64_t> cutoffs = config.topk;
  const ListsAtOnce test = lists_at_once(data.test.view(), cutoffs);
  cutoffs.push_back(monitor_of(config).k);
  return {lists_at_once(data.valid.view(), cutoffs), test};
}

}  // namespace

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
  settings.sampling = config.sampling == "interaction"   ? SamplingRule::interaction
                      : config.sampling == "random_user" ? SamplingRule::random_user
                                                         : SamplingRule::user;
  settings.negative_distribution = config.negative_distribution == "popularity"
                                       ? NegativeDistribution::popularity
                                       : NegativeDistribution::uniform;
  settings.negative_exponent = config.negative_exponent;
  settings.batch = config.batch;
  settings.negatives = config.negatives;
  return settings;
}

OperationSizes operation_sizes(const Backend& backend, const Dataset& data, const Config& config) {
  OperationSizes sizes;
  sizes.projection = Model::projection_size(backend, model_settings(config), data.train.view(),
                                            data.language.width());
  sizes.batch = config.batch;
  sizes.negatives = config.negatives;
  sizes.objective = training_settings(config).objective.kind;
  for (const ListsAtOnce& ranked : evaluated_lists(data, config)) {
    const int64_t lists = VectorRanker::lists_at_once(ranked.lists, ranked.k);
    sizes.lists = std::max(sizes.lists, lists);
    sizes.k = std::max(sizes.k, ranked.k);
  }
  return sizes;
}

int64_t training_bytes(const Backend& backend, const Dataset& data, const Config& config) {
  int64_t lists = 0;
  for (const ListsAtOnce& ranked : evaluated_lists(data, config))
    lists = std::max(lists, VectorRanker::bytes_needed(ranked.lists, ranked.k));
  const int64_t popularity = int64_t{sizeof(float)} * (data.users + data.items);
  return Model::bytes_needed(backend, model_settings(config), data.train.view(),
                             data.language.width()) +
         Training::bytes_needed(training_settings(config), data.users, data.items,
                                data.train.entries(), config.width) +
         backend.scratch_bytes(operation_sizes(backend, data, config)) +
         SplitEvaluator::bytes_needed(data) + lists + popularity;
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
