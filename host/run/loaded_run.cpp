#include "host/run/loaded_run.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "host/dataset/joint_dataset.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/formats/npy.h"
#include "host/run/checkpoint.h"
#include "host/run/memory.h"
#include "host/run/model_of_config.h"
#include "host/run/run_folder.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

struct Weights {
  SafetensorsFile file;
  std::string path;
  Config config;
  CheckpointFacts facts;  // of .npy files the width alone
};

Tensor read_weight(const fs::path& folder, const std::string& name, size_t dimensions) {
  const NpyFile file((folder / (name + ".npy")).string());
  if (file.header().shape.size() != dimensions)
    throw FileError(file.path(), fmt::format("must have {} dimension(s)", dimensions));
  return {name, file.header().shape, file.as_float32()};
}

// w1 [d, D] alone: the linear map. w1 [hidden, D], b1, w2 [.., hidden], b2, ...: the projector of
// so many layers.
Weights weights_of_npy(const std::string& path, const std::vector<std::string>& settings) {
  const fs::path folder(path);
  Weights weights;
  weights.path = path;
  int layers = 1;
  while (layers < kMaxProjectorLayers &&
         is_there((folder / fmt::format("w{}.npy", layers + 1)).string()))
    ++layers;
  std::vector<Tensor>& tensors = weights.file.tensors;
  for (int l = 1; l <= layers; ++l) {
    tensors.push_back(read_weight(folder, fmt::format("w{}", l), 2));
    if (l == 1) weights.facts.language_width = tensors[0].shape[1];
    weights.config.width = tensors.back().shape[0];
    if (layers > 1) tensors.push_back(read_weight(folder, fmt::format("b{}", l), 1));
  }
  weights.config.model = layers > 1 ? "alpharec" : "linear";
  weights.config.projector_layers = layers;
  if (layers > 1) weights.config.hidden = tensors[0].shape[0];
  for (const std::string& setting : settings) apply_setting(weights.config, setting);
  return weights;
}

Weights weights_of_checkpoint(const std::string& path) {
  Weights weights;
  weights.path = path;
  weights.file = read_safetensors(path);
  weights.facts = read_facts(weights.file, path);
  apply_config_text(weights.config, weights.facts.config, path);
  return weights;
}

// The one dataset that a run was trained on, which must be there.
std::string only_dataset(const RunFacts& facts, const std::string& run,
                         const std::string& facts_file) {
  if (facts.datasets.size() > 1)
    throw FileError(run,
                    fmt::format("was trained on {} datasets together, {}", facts.datasets.size(),
                                fmt::join(facts.datasets, ", ")),
                    Remedy::name_dataset);
  if (facts.datasets.empty()) throw FileError(facts_file, "names no dataset", Remedy::name_dataset);
  if (!is_there(facts.datasets[0]))
    throw FileError(facts.datasets[0], "the dataset that " + run + " was trained on is not there",
                    Remedy::name_dataset);
  return facts.datasets[0];
}

// A run folder's best checkpoint, a checkpoint, or a folder of .npy weights.
Weights read_weights(const LoadRequest& request) {
  if (!is_there(request.run))
    throw FileError(request.run,
                    "there is no such run; name a run folder, a checkpoint or a folder of weights");
  const bool is_npy = is_there(request.run + "/w1.npy");
  if (!is_npy && !request.settings.empty())
    throw std::invalid_argument(request.run +
                                ": a checkpoint carries its own settings; others are for a folder "
                                "of .npy weights");
  if (is_npy) return weights_of_npy(request.run, request.settings);
  std::error_code ignored;  // is_there has been asked
  if (!fs::is_directory(request.run, ignored)) return weights_of_checkpoint(request.run);
  const RunFolder folder(request.run);
  if (!is_there(folder.best_file()))
    throw FileError(request.run, "holds no best.safetensors; train into it first");
  return weights_of_checkpoint(folder.best_file());
}

// What a run folder says it was trained on; empty where the request names data of the caller's.
RunFacts facts_for(const LoadRequest& request) {
  if (!request.data.empty() && !request.own_data) return {};
  const RunFolder folder(request.run);
  if (request.data.empty() && !is_there(folder.best_file()))
    throw FileError(request.run, "weights alone do not say which dataset", Remedy::name_dataset);
  return folder.read_facts();
}

// What must hold of weights and data; the sentence of what force lets pass, or "".
std::string require_fitting(const Weights& weights, const LoadedRun& loaded, bool force) {
  const Dataset& data = loaded.data;
  if (!reads_language(weights.config.model)) {
    if (loaded.trained_on == TrainedOn::this_dataset) return "";
    throw FileError(weights.path,
                    fmt::format("holds the model {}: its parameters are of the users and "
                                "items it was trained on, and {} is another dataset; "
                                "train it there",
                                weights.config.model, data.path));
  }
  require_language(data, weights.config.model);
  require_same_width(data, weights.facts.language_width, weights.path);
  const std::string difference =
      language_difference(data, weights.facts.language_model, weights.path);
  if (!difference.empty() && !force)
    throw FileError(data.path, difference, Remedy::same_language_model);
  return difference;
}

LoadedRun begin(const LoadRequest& request, const Weights& weights, Dataset data,
                TrainedOn trained_on) {
  LoadedRun loaded;
  loaded.data = std::move(data);
  loaded.path = request.run;
  loaded.trained_on = trained_on;
  loaded.config = weights.config;
  loaded.checkpoint = weights.facts;
  loaded.forced = require_fitting(weights, loaded, request.force);
  if (!loaded.forced.empty())
    loaded.notices.push_back("forced: " + loaded.data.path + " " + loaded.forced);
  return loaded;
}

void make_model(const LoadRequest& request, const Weights& weights, LoadedRun& loaded) {
  loaded.config = resolve(weights.config, loaded.data.language.width());
  if (loaded.checkpoint.config.empty()) loaded.checkpoint.config = to_toml(loaded.config);
  loaded.backend = make_backend(request.device, request.threads).backend;
  if (loaded.config.precision != precision_name(Precision::fp32))
    loaded.notices.push_back(request.run + ": was trained in " + loaded.config.precision +
                             "; what follows is computed in fp32");
  const ModelSettings settings = model_settings(loaded.config);
  const CsrView train = loaded.data.train.view();
  const int64_t width = loaded.data.language.width();
  OperationSizes sizes;
  sizes.projection = Model::projection_size(*loaded.backend, settings, train, width);
  require_memory(*loaded.backend,
                 Model::bytes_needed(*loaded.backend, settings, train, width) +
                     loaded.backend->scratch_bytes(sizes),
                 "the model");
  loaded.model =
      std::make_unique<Model>(*loaded.backend, settings, loaded.data.language.view(), train);
  restore_weights(*loaded.model, weights.file, weights.path);
  loaded.model->embed();
}

TrainedOn compared(const Weights& weights, const Dataset& data) {
  if (is_part_of(data.fingerprint, weights.facts.dataset)) return TrainedOn::this_dataset;
  return weights.facts.dataset.empty() ? TrainedOn::unknown : TrainedOn::other_data;
}

}  // namespace

LoadedRun load_run(const LoadRequest& request) {
  const Weights weights = read_weights(request);
  const RunFacts facts = facts_for(request);
  const std::string path =
      request.data.empty() ? only_dataset(facts, request.run, RunFolder(request.run).facts_file())
                           : request.data;
  DatasetOptions reading;
  reading.language = request.language.empty() ? facts.language : request.language;
  if (as_release(weights.config)) reading.repeats = Repeats::each;
  Dataset data = load_dataset(path, reading);
  // The run's own data is its own also where it has changed since.
  const bool named = !request.data.empty() && !request.own_data;
  const TrainedOn trained_on = named ? compared(weights, data) : TrainedOn::this_dataset;
  LoadedRun loaded = begin(request, weights, std::move(data), trained_on);
  if (!request.new_items.empty()) {
    require_language_model(loaded, "--new-items");
    append_items(loaded.data, request.new_items, request.new_vectors);
  }
  make_model(request, weights, loaded);
  if (!facts.fingerprint.empty() && !is_part_of(loaded.data.fingerprint, facts.fingerprint))
    loaded.notices.push_back(path + ": has changed since " + request.run + " was trained on it");
  return loaded;
}

LoadedRun load_run(const LoadRequest& request, Dataset data) {
  const Weights weights = read_weights(request);
  const TrainedOn trained_on = compared(weights, data);
  LoadedRun loaded = begin(request, weights, std::move(data), trained_on);
  make_model(request, weights, loaded);
  return loaded;
}

void require_language_model(const LoadedRun& run, const std::string& what) {
  if (!reads_language(run.config.model))
    throw std::invalid_argument(fmt::format(
        "{}: {} is of model {}, which reads no language vectors; use a run of alpharec or linear",
        what, run.path, run.config.model));
}

}  // namespace rec
