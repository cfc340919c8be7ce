#include <CLI/CLI.hpp>
#include <limits>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/comparing.h"
#include "host/commands/shared_options.h"

namespace rec {
namespace {

struct Options {
  std::vector<std::string> runs;
  CompareOptions compare;
};

}  // namespace

Command add_compare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("compare", "Runs side by side, with paired tests of their differences");
  command->add_option("RUN", options->runs, "run folders, or checkpoints with --data")->required();
  CompareOptions& compare = options->compare;
  command->add_option("--data", compare.data, "dataset instead of the runs' own");
  add_language_option(*command, compare.language);
  add_machine_options(*command, compare.device, compare.threads);
  add_compare_options(*command, compare);
  command
      ->add_option("--mask", compare.mask,
                   "others: every split but the evaluated one; train: train alone")
      ->check(CLI::IsMember({"others", "train"}));
  command->add_option("--seed", compare.seed, "of the bootstrap")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  return [options] {
    compare_runs(options->runs, options->compare);
    return 0;
  };
}

}  // namespace rec
