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
  LanguageModel language_model;
  int64_t language_width = 0;
  std::string dataset;  // fingerprint of what they were trained on, or ""
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
    if (l == 1) weights.language_width = tensors[0].shape[1];
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
  const CheckpointFacts facts = read_facts(weights.file, path);
  apply_config_text(weights.config, facts.config, path);
  weights.language_model = facts.language_model;
  weights.language_width = facts.language_width;
  weights.dataset = facts.dataset;
  return weights;
}

// named: whether the dataset was named for these weights. The run's own is its own also where it
// has changed since.
TrainedOn trained_on(const Weights& weights, const Dataset& data, bool named) {
  if (!named || is_part_of(data.fingerprint, weights.dataset)) return TrainedOn::this_dataset;
  return weights.dataset.empty() ? TrainedOn::unknown : TrainedOn::other_data;
}

// The one dataset that a run was trained on, which must be there.
std::string only_dataset(const RunFacts& facts, const std::string& run,
                         const std::string& facts_file) {
  if (facts.datasets.size() > 1)
    throw std::invalid_argument(
        fmt::format("{}: was trained on {} datasets together; name the one to rank with --data: {}",
                    run, facts.datasets.size(), fmt::join(facts.datasets, ", ")));
  if (facts.datasets.empty()) throw FileError(facts_file, "names no dataset; name it with --data");
  if (!is_there(facts.datasets[0]))
    throw FileError(facts.datasets[0], "the dataset that " + run +
                                           " was trained on is not there; name it with --data");
  return facts.datasets[0];
}

}  // namespace

LoadedRun load_run(const LoadRequest& request) {
  if (!is_there(request.run))
    throw FileError(request.run,
                    "there is no such run; name a run folder, a checkpoint or a folder of weights");
  const RunFolder folder(request.run);
  const bool is_npy = is_there(request.run + "/w1.npy");
  const bool is_run = is_there(folder.best_file());
  if (!is_npy && !request.settings.empty())
    throw std::invalid_argument(request.run +
                                ": a checkpoint carries its own settings; --set is for a folder of "
                                ".npy weights");
  std::string data_path = request.data, language = request.language, fingerprint;
  std::error_code ignored;  // is_there has been asked
  const bool is_folder = fs::is_directory(request.run, ignored);
  if (is_folder && !is_npy && !is_run)
    throw FileError(request.run, "holds no best.safetensors; train into it first");
  if (data_path.empty() && (!is_folder || is_npy))
    throw std::invalid_argument(request.run +
                                ": weights alone do not say which dataset; name it with --data");
  if (data_path.empty() || request.own_data) {
    const RunFacts facts = folder.read_facts();
    if (data_path.empty()) data_path = only_dataset(facts, request.run, folder.facts_file());
    fingerprint = facts.fingerprint;
    if (language.empty()) language = facts.language;
  }
  Weights weights = is_npy ? weights_of_npy(request.run, request.settings)
                           : weights_of_checkpoint(is_run ? folder.best_file() : request.run);
  LoadedRun loaded;
  DatasetOptions reading;
  reading.language = language;
  if (as_release(weights.config)) reading.repeats = Repeats::each;
  loaded.data = load_dataset(data_path, reading);
  loaded.path = request.run;
  loaded.trained_on = trained_on(weights, loaded.data, !request.data.empty() && !request.own_data);
  if (reads_language(weights.config.model)) {
    require_language(loaded.data, weights.config.model);
    require_same_width(loaded.data, weights.language_width, weights.path);
    loaded.forced = language_difference(loaded.data, weights.language_model, weights.path);
  } else if (loaded.trained_on != TrainedOn::this_dataset) {
    throw FileError(weights.path,
                    fmt::format("holds the model {}: its parameters are of the users and "
                                "items it was trained on, and {} is another dataset; "
                                "train it there",
                                weights.config.model, loaded.data.path));
  }
  if (!loaded.forced.empty() && !request.force)
    throw FileError(loaded.data.path, loaded.forced +
                                          "; embed the titles with the same model, or go on "
                                          "with --force");
  if (!loaded.forced.empty())
    loaded.notices.push_back("forced: " + loaded.data.path + " " + loaded.forced);
  if (!request.new_items.empty()) {
    loaded.config = weights.config;
    require_language_model(loaded, "--new-items");
    append_items(loaded.data, request.new_items, request.new_vectors);
  }
  loaded.config = resolve(weights.config, loaded.data.language.width());
  loaded.backend = make_backend(request.device, request.threads).backend;
  if (loaded.config.precision != precision_name(Precision::fp32))
    loaded.notices.push_back(request.run + ": was trained in " + loaded.config.precision +
                             "; what follows is computed in fp32");
  if (!fingerprint.empty() && !is_part_of(loaded.data.fingerprint, fingerprint))
    loaded.notices.push_back(data_path + ": has changed since " + request.run +
                             " was trained on it");
  const ModelSettings settings = model_settings(loaded.config);
  OperationSizes sizes;
  sizes.projection = Model::projection_size(*loaded.backend, settings, loaded.data.train.view(),
                                            loaded.data.language.width());
  require_memory(*loaded.backend,
                 Model::bytes_needed(*loaded.backend, settings, loaded.data.train.view(),
                                     loaded.data.language.width()) +
                     loaded.backend->scratch_bytes(sizes),
                 "the model");
  loaded.model = std::make_unique<Model>(*loaded.backend, settings, loaded.data.language.view(),
                                         loaded.data.train.view());
  restore_weights(*loaded.model, weights.file, weights.path);
  loaded.model->embed();
  return loaded;
}

void require_language_model(const LoadedRun& run, const std::string& what) {
  if (!reads_language(run.config.model))
    throw std::invalid_argument(fmt::format(
        "{}: {} is of model {}, which reads no language vectors; use a run of alpharec or linear",
        what, run.path, run.config.model));
}

}  // namespace rec
