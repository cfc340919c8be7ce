#include <CLI/CLI.hpp>
#include <memory>

#include "host/commands/commands.h"
#include "host/config/config.h"
#include "host/train/trainer.h"

namespace rec {
namespace {

constexpr int kInterrupted = 130;  // as a shell reports a program ended by Ctrl-C

struct Options {
  std::string data, run, config_file;
  std::vector<std::string> settings;
  std::string epochs, seed, threads;
  TrainRequest request;
};

int run_train(const Options& options) {
  const Dataset data = load_dataset(options.data, {options.request.language});
  const RunFolder run(options.run);
  Config config;
  // A run goes on with its own settings; those given again must be the same (host/train).
  if (options.request.resume && run.holds_a_run()) apply_config_file(config, run.config_file());
  else if (!data.config_path.empty()) apply_config_file(config, data.config_path);
  if (!options.config_file.empty()) apply_config_file(config, options.config_file);
  for (const std::string& setting : options.settings) apply_setting(config, setting);
  if (!options.epochs.empty()) apply_setting(config, "epochs=" + options.epochs);
  if (!options.seed.empty()) apply_setting(config, "seed=" + options.seed);
  if (!options.threads.empty()) apply_setting(config, "threads=" + options.threads);
  catch_interrupts();
  return train(data, config, run, options.request) == TrainEnd::finished ? 0 : kInterrupted;
}

}  // namespace

Command add_train(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "Train a model on a dataset into a run folder");
  command->add_option("DATA", options->data, "dataset folder, or the authors' release tree")->required();
  command->add_option("--out", options->run, "run folder to make")->required();
  command->add_option("--epochs", options->epochs, "epochs at most");
  command->add_option("--seed", options->seed, "seed of initialisation and sampling");
  command->add_option("--threads", options->threads, "0: all processors");
  command->add_option("--device", options->request.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--config", options->config_file, "TOML file of settings");
  command->add_option("--set", options->settings, "one setting, key=value; may be repeated");
  command->add_option("--language", options->request.language,
                      "which item_cf_embeds_NAME of the authors' tree");
  command->add_option("--track", "also evaluate this split while training; never used to select")
      ->check(CLI::IsMember({"test"}))
      ->each([options](const std::string&) { options->request.track_test = true; });
  command->add_flag("--resume", options->request.resume, "go on where the run stopped");
  command->add_flag("--overwrite", options->request.overwrite, "replace the run that is there");
  command->add_flag("--quiet", options->request.quiet, "print nothing but errors");
  return [options] { return run_train(*options); };
}

}  // namespace rec
