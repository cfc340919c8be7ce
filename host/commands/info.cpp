#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "host/commands/commands.h"
#include "host/commands/shared_options.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/dataset/dataset_facts.h"
#include "host/run/memory.h"
#include "host/run/model_of_config.h"

namespace rec {
namespace {

struct Options {
  std::string data, language;
};

std::string degrees_text(const DegreeFacts& facts) {
  std::string text;
  for (size_t q = 0; q < DegreeFacts::kQuantiles.size(); ++q) {
    const double at = DegreeFacts::kQuantiles[q];
    const std::string name = at == 0     ? "min"
                             : at == 0.5 ? "median"
                             : at == 1   ? "max"
                                         : fmt::format("{:g}%", 100 * at);
    text += fmt::format("{} {}, ", name, facts.at[q]);
  }
  return text + fmt::format("mean {:.2f}", facts.mean);
}

void print_counts(const Dataset& data, const DatasetFacts& facts) {
  fmt::print("dataset        {} ({})\n", data.name, data.path);
  fmt::print("users          {}, {} of them without training items\n", data.users,
             facts.users.zero);
  fmt::print(
      "items          {}, {} of them cold (no training interaction), {} of those in valid or "
      "test\n",
      data.items, facts.items.zero, facts.cold_items_asked_for);
  fmt::print("interactions   {} train, {} valid, {} test\n", data.train.entries(),
             data.valid.entries(), data.test.entries());
  fmt::print("repeated       {} interactions stood more than once and count once\n",
             data.duplicates);
  const bool overlaps = facts.train_and_valid + facts.train_and_test + facts.valid_and_test > 0;
  fmt::print("overlap        {} in train and valid, {} in train and test, {} in valid and test{}\n",
             facts.train_and_valid, facts.train_and_test, facts.valid_and_test,
             overlaps ? "; training refuses it: an interaction belongs to one split" : "");
  fmt::print("density        {:.3g} (train)\n", facts.density);
  fmt::print("user degree    {}\n", degrees_text(facts.users));
  fmt::print("item degree    {}\n", degrees_text(facts.items));
  fmt::print("fingerprint    {}\n", data.fingerprint);
}

void print_needs(const JointDataset& joint) {
  const Dataset& data = joint.whole();
  if (!data.has_language()) {
    fmt::print(
        "language       none: item_language.npy is needed by alpharec and linear, not by lightgcn "
        "and mf\n");
    return;
  }
  const LanguageModel& language = data.language_model;
  fmt::print("language       width {}{}{}\n", data.language.width(),
             language.model.empty() ? "" : ", model " + language.model,
             language.basis.empty() ? "" : ", basis " + language.basis);
  Config config;
  if (!data.config_path.empty()) apply_config_file(config, data.config_path);
  config = fit_to(joint, config);
  const MadeBackend made = make_backend("auto", 0);
  fmt::print("memory         about {} to train {} (batch {}, hidden {}), {} available\n",
             bytes_text(training_bytes(*made.backend, joint, config)), config.model, config.batch,
             config.hidden, bytes_text(available_memory(*made.backend)));
}

int run_info(const Options& options) {
  DatasetOptions reading;
  reading.language = options.language;
  reading.allow_overlap = true;  // to be shown, not refused
  const JointDataset data(load_dataset(options.data, reading));
  print_counts(data.whole(), facts_of(data.whole()));
  print_needs(data);
  return 0;
}

}  // namespace

Command add_info(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "What a dataset holds, and what training on it needs");
  command->add_option("DATA", options->data, "dataset folder, or the authors' release tree")
      ->required();
  add_language_option(*command, options->language);
  return [options] { return run_info(*options); };
}

}  // namespace rec
