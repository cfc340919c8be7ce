#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/comparing.h"
#include "host/commands/shared_options.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/run/model_of_config.h"
#include "host/sweep/sweep_file.h"
#include "host/train/run_record.h"
#include "host/train/trainer.h"

namespace rec {
namespace {

constexpr int kInterrupted = 130;  // as a shell reports a program ended by Ctrl-C

struct Options {
  std::string file;
  CompareOptions compare;
  bool quiet = false;
};

struct PlannedRun {
  std::string name;
  RunFolder folder;
  Config config;  // not yet resolved
  bool finished;
};

// Whether the folder holds this run, trained to its end. Throws FileError where it holds another.
bool is_finished(const RunFolder& folder, const Config& wanted, const Dataset& data) {
  if (!is_there(folder.config_file())) return false;
  Config found;
  apply_config_file(found, folder.config_file());
  found = resolve(found, data.language.width());  // a key may be younger than the run
  const std::string difference =
      first_difference(without_what_may_change(found), without_what_may_change(wanted));
  if (!difference.empty())
    throw FileError(folder.path(), "holds a run with other settings: " + difference +
                                       "; remove it, or choose another 'out'");
  if (is_there(folder.facts_file()) && folder.read_facts().fingerprint != data.fingerprint)
    throw FileError(folder.path(), "holds a run on other data than " + data.path +
                                       "; remove it, or choose another 'out'");
  found.threads = wanted.threads;
  return is_there(folder.report_file()) && is_there(folder.best_file()) &&
         first_difference(found, wanted).empty();
}

// Every run with its settings checked, before any is trained.
std::vector<PlannedRun> plan_of(const SweepFile& sweep, const JointDataset& joint, int threads) {
  const Dataset& data = joint.whole();
  Config base;
  if (!data.config_path.empty()) apply_config_file(base, data.config_path);
  std::vector<PlannedRun> plan;
  for (const SweepRun& run : sweep.runs) {
    Config config = settings_of(sweep, run, base);
    if (threads > 0) config.threads = threads;
    if (!plan.empty() && config.mask != plan[0].config.mask)
      throw FileError(sweep.path,
                      "varies 'mask', but runs are compared under one; set it under [settings]");
    if (as_release(config))
      throw FileError(
          sweep.path,
          "sets 'compat', with which a run is not compared with others; train it alone");
    const RunFolder folder(sweep.out + "/" + run.name);
    plan.push_back({run.name, folder, config, is_finished(folder, fit_to(joint, config), data)});
  }
  return plan;
}

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

int run_sweep(const Options& options) {
  const SweepFile sweep = read_sweep_file(options.file);
  const JointDataset data(load_dataset(sweep.data, {sweep.language}));
  const std::vector<PlannedRun> plan = plan_of(sweep, data, options.compare.threads);
  catch_interrupts();
  TrainRequest request;
  request.device = options.compare.device;
  request.language = sweep.language;
  request.resume = true;
  request.quiet = options.quiet;
  std::vector<std::string> folders;
  for (const PlannedRun& run : plan) {
    folders.push_back(run.folder.path());
    say(fmt::format("[{}/{}] {}{}", folders.size(), plan.size(), run.name,
                    run.finished ? ": trained already" : ""));
    if (run.finished) continue;
    if (train(data, run.config, run.folder, request) == TrainEnd::interrupted) {
      say("stopped; go on with: rec_engine sweep " + options.file);
      return kInterrupted;
    }
  }
  CompareOptions compare = options.compare;
  compare.data = sweep.data;
  compare.language = sweep.language;
  say("");
  compare_runs(folders, compare);
  return 0;
}

}  // namespace

Command add_sweep(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "sweep", "Train a grid of settings and seeds, go on where it stopped, and compare");
  command
      ->add_option("FILE", options->file, "TOML: data, out, seeds, [settings], [grid], [[variant]]")
      ->required();
  add_machine_options(*command, options->compare.device, options->compare.threads);
  command->add_flag("--quiet", options->quiet, "print a line a run, and the tables");
  add_compare_options(*command, options->compare);
  return [options] { return run_sweep(*options); };
}

}  // namespace rec
