#include "host/run/model_of_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/ranker.h"
#include "host/formats/file_error.h"
#include "host/run/domain_evaluator.h"

namespace rec {

namespace {

// Of the evaluations that a training makes: of validation, with the monitor's cut-off, and of test.
std::vector<ListsAtOnce> evaluated_lists(const JointDataset& data, const Config& config) {
  std::vector<int64_t> with_monitor = config.topk;
  with_monitor.push_back(monitor_of(config).k);
  const Split selecting = selecting_split(config);
  std::vector<ListsAtOnce> lists;
  for (const Dataset& part : data.parts())
    for (Split split : {Split::valid, Split::test})
      lists.push_back(
          lists_at_once(part.split(split).view(), split == selecting ? with_monitor : config.topk));
  return lists;
}

void refuse_other_domains(const JointDataset& data, const Config& config) {
  const size_t shares = config.domain_shares.size();
  if (shares > 0 && shares != data.parts().size())
    throw std::invalid_argument(fmt::format(
        "'domain_shares' names {} shares, but there {} {} dataset{}; give one for each, in their "
        "order",
        shares, data.is_joint() ? "are" : "is", data.parts().size(), data.is_joint() ? "s" : ""));
  if (config.monitor_domain.empty()) return;
  for (const Dataset& part : data.parts()) {
    if (part.name != config.monitor_domain) continue;
    if (part.split(selecting_split(config)).entries() > 0) return;
    throw std::invalid_argument("'monitor_domain' is " + part.name + ", which has no " +
                                split_name(selecting_split(config)) + " split to stop on");
  }
  throw std::invalid_argument(
      "'monitor_domain' is '" + config.monitor_domain +
      "', which is no dataset of this training; there are: " + data.whole().name);
}

std::string model_and_changes(const Config& config) {
  const bool reads = reads_language(config.model), linear = config.model == "linear";
  std::vector<std::string> changes;
  if (reads && !linear && config.projector_layers == 1) changes.push_back("w/o MLP");
  if (config.projector_layers > (linear ? 1 : 2))
    changes.push_back(fmt::format("projector of {} layers", config.projector_layers));
  if (config.model == "alpharec" && config.layers == 0) changes.push_back("w/o GCN");
  if ((linear && config.layers > 0) || (config.model == "lightgcn" && config.layers == 0))
    changes.push_back(fmt::format("K = {}", config.layers));
  if (reads && config.objective == "bpr") changes.push_back("w/o CL");
  if (config.objective != "bpr" && config.objective != (reads ? "infonce" : "bpr"))
    changes.push_back(config.objective);
  if (config.score != (reads ? "cosine" : "dot")) changes.push_back("score " + config.score);
  if (config.negative_distribution != "uniform") changes.push_back("negatives by popularity");
  return changes.empty() ? config.model
                         : fmt::format("{} {}", config.model, fmt::join(changes, ", "));
}

}  // namespace

Split selecting_split(const Config& config) {
  return as_release(config) ? Split::test : Split::valid;
}

Config fit_to(const JointDataset& data, Config config) {
  refuse_other_domains(data, config);
  config = resolve(std::move(config), data.whole().language.width());
  config.batch = std::min(config.batch, data.whole().train.entries());
  return config;
}

ModelSettings model_settings(const Config& config) {
  ModelSettings settings;
  if (reads_language(config.model))
    settings.projector = {int(config.projector_layers), config.hidden, config.width,
                          config.projector_layers > 1};
  else
    settings.node_table = {config.width, config.init_std};
  settings.propagation_layers = int(config.layers);
  settings.score = config.score == "dot" ? Score::dot : Score::cosine;
  return settings;
}

TrainingSettings training_settings(const Config& config, std::vector<Domain> domains) {
  TrainingSettings settings;
  settings.domains = std::move(domains);
  settings.domain_shares = config.domain_shares;
  settings.repeated_edges = as_release(config);
  settings.objective.kind = config.objective == "bpr"       ? Objective::bpr
                            : config.objective == "softmax" ? Objective::softmax
                            : config.objective == "inbatch" ? Objective::inbatch
                                                            : Objective::infonce;
  settings.objective.tau = float(config.tau);
  settings.l2 = float(config.reg);
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

std::vector<Domain> trained_domains(const JointDataset& data) {
  return data.is_joint() ? data.domains() : std::vector<Domain>();
}

OperationSizes operation_sizes(const Backend& backend, const JointDataset& data,
                               const Config& config) {
  OperationSizes sizes;
  sizes.projection = Model::projection_size(
      backend, model_settings(config), data.whole().train.view(), data.whole().language.width());
  sizes.batch = config.batch;
  sizes.negatives = config.negatives;
  sizes.objective = training_settings(config).objective.kind;
  if (data.is_joint()) sizes.domains = starts_of(data.domains());
  for (const ListsAtOnce& ranked : evaluated_lists(data, config)) {
    const int64_t lists = VectorRanker::lists_at_once(ranked.lists, ranked.k);
    sizes.lists = std::max(sizes.lists, lists);
    sizes.k = std::max(sizes.k, ranked.k);
  }
  return sizes;
}

int64_t training_bytes(const Backend& backend, const JointDataset& data, const Config& config) {
  int64_t lists = 0, popularity = 0;
  for (const ListsAtOnce& ranked : evaluated_lists(data, config))
    lists = std::max(lists, VectorRanker::bytes_needed(ranked.lists, ranked.k));
  for (const Dataset& part : data.parts())
    popularity = std::max(popularity, int64_t{sizeof(float)} * (part.users + part.items));
  const Dataset& whole = data.whole();
  return Model::bytes_needed(backend, model_settings(config), whole.train.view(),
                             whole.language.width()) +
         Training::bytes_needed(training_settings(config, trained_domains(data)), whole.users,
                                whole.items, whole.train.entries(), config.width) +
         backend.scratch_bytes(operation_sizes(backend, data, config)) +
         DomainEvaluator::bytes_needed(data) + lists + popularity;
}

std::string model_label(const Config& config) {
  return model_and_changes(config) +
         (as_release(config) ? " (alpharec-release: best epoch by test)" : "");
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
