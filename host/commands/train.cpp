#include <CLI/CLI.hpp>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/shared_options.h"
#include "host/config/config.h"
#include "host/formats/mapped_file.h"
#include "host/run/checkpoint.h"
#include "host/train/trainer.h"

namespace rec {
namespace {

constexpr int kInterrupted = 130;  // as a shell reports a program ended by Ctrl-C

struct Options {
  std::vector<std::string> data;
  std::string run, config_file;
  std::vector<std::string> settings;
  std::string epochs, seed, precision, compat;
  int threads = -1;  // the config's
  TrainRequest request;
};

// Also a run that was ended before its first checkpoint: it begins again with its own settings.
bool goes_on(const TrainRequest& request, const RunFolder& run) {
  return request.resume && run.holds_a_run();
}

// The settings a run began with: config.toml's, or where that is gone the checkpoint's own.
void apply_settings_of(const RunFolder& run, Config& config) {
  if (is_there(run.config_file())) return apply_config_file(config, run.config_file());
  const std::string& path = run.last_file();
  apply_config_text(config, read_facts(read_safetensors(path), path).config, path);
}

// What a run began with stands in the dataset's place where it goes on,
// so that --resume alone is enough. Of several datasets none may decide.
Config settings_of(const Options& options, const JointDataset& data, const RunFolder& run) {
  Config config;
  if (goes_on(options.request, run))
    apply_settings_of(run, config);
  else if (!data.is_joint() && !data.whole().config_path.empty())
    apply_config_file(config, data.whole().config_path);
  if (!options.config_file.empty()) apply_config_file(config, options.config_file);
  for (const std::string& setting : options.settings) apply_setting(config, setting);
  if (!options.epochs.empty()) apply_option(config, "epochs", options.epochs);
  if (!options.seed.empty()) apply_option(config, "seed", options.seed);
  if (!options.precision.empty()) apply_option(config, "precision", options.precision);
  if (!options.compat.empty()) apply_option(config, "compat", options.compat);
  if (options.threads >= 0) config.threads = options.threads;
  return config;
}

int run_train(const Options& options) {
  const RunFolder run(options.run);
  TrainRequest request = options.request;
  if (request.language.empty() && goes_on(request, run) && is_there(run.facts_file()))
    request.language = run.read_facts().language;
  const auto load = [&](Repeats repeats) {
    std::vector<Dataset> parts;
    for (const std::string& path : options.data) {
      DatasetOptions reading;
      reading.language = request.language;
      reading.repeats = repeats;
      parts.push_back(load_dataset(path, reading));
    }
    return JointDataset(std::move(parts));
  };
  // Only the data says which settings it comes with, and only these say how repeats count.
  JointDataset data = load(Repeats::once);
  const Config config = settings_of(options, data, run);
  if (as_release(config) && data.whole().duplicates > 0) data = load(Repeats::each);
  catch_interrupts();
  return train(data, config, run, request) == TrainEnd::finished ? 0 : kInterrupted;
}

}  // namespace

Command add_train(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train a model on a dataset into a run folder");
  command
      ->add_option("DATA", options->data,
                   "dataset folder, or the authors' release tree; several are trained together")
      ->required();
  command->add_option("--out", options->run, "run folder to make")->required();
  command->add_option("--epochs", options->epochs, "epochs at most");
  command->add_option("--seed", options->seed, "seed of initialisation and sampling");
  add_machine_options(*command, options->request.device, options->threads);
  command->add_option("--precision", options->precision,
                      "fp32, or on a GPU tf32 or bf16: how exactly products are computed");
  command->add_option("--compat", options->compat,
                      "alpharec-release: as the authors' code where it differs; labelled");
  command->add_option("--config", options->config_file, "TOML file of settings");
  add_settings_option(*command, options->settings, "one setting, key=value");
  add_language_option(*command, options->request.language);
  command->add_option("--track", "also evaluate this split while training; never used to select")
      ->check(CLI::IsMember({"test"}))
      ->each([options](const std::string&) { options->request.track_test = true; });
  CLI::Option* resume =
      command->add_flag("--resume", options->request.resume, "go on where the run stopped");
  command->add_flag("--overwrite", options->request.overwrite, "replace the run that is there")
      ->excludes(resume);
  command->add_flag("--force", options->request.force,
                    "go on where items.tsv has other texts than the language vectors were made of");
  command->add_flag("--quiet", options->request.quiet, "print nothing but errors");
  command->footer("Settings, for --set and TOML files, with their defaults:\n" +
                  list_of_settings());
  return [options] { return run_train(*options); };
}

}  // namespace rec
