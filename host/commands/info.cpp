#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "host/commands/commands.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/run/memory.h"
#include "host/run/model_of_config.h"

namespace rec {
namespace {

struct Options {
  std::string data, language;
};

std::string quantiles(std::vector<int64_t> degrees) {
  if (degrees.empty()) return "none";
  std::sort(degrees.begin(), degrees.end());
  const auto at = [&](double q) { return degrees[size_t(q * double(degrees.size() - 1))]; };
  int64_t total = 0;
  for (int64_t d : degrees) total += d;
  return fmt::format("min {}, 25% {}, median {}, 75% {}, 99% {}, max {}, mean {:.2f}", at(0),
                     at(0.25), at(0.5), at(0.75), at(0.99), at(1),
                     double(total) / double(degrees.size()));
}

int run_info(const Options& options) {
  const Dataset data = load_dataset(options.data, {options.language});
  std::vector<int64_t> user_degree, item_degree(size_t(data.items), 0);
  int64_t no_train = 0;
  for (int64_t u = 0; u < data.users; ++u) {
    user_degree.push_back(data.train.view().degree(u));
    no_train += user_degree.back() == 0 ? 1 : 0;
  }
  for (int32_t item : data.train.col) ++item_degree[size_t(item)];
  const int64_t cold = std::count(item_degree.begin(), item_degree.end(), 0);

  fmt::print("dataset        {} ({})\n", data.name, data.path);
  fmt::print("users          {}, {} of them without training items\n", data.users, no_train);
  fmt::print("items          {}, {} of them cold (no training interaction)\n", data.items, cold);
  fmt::print("interactions   {} train, {} valid, {} test\n", data.train.entries(),
             data.valid.entries(), data.test.entries());
  fmt::print("repeated       {} interactions stood more than once and count once\n",
             data.duplicates);
  fmt::print("overlap        0 between splits (an overlap would have been refused)\n");
  fmt::print("density        {:.3g} (train)\n",
             double(data.train.entries()) / double(data.users) / double(data.items));
  fmt::print("user degree    {}\n", quantiles(user_degree));
  fmt::print("item degree    {}\n", quantiles(item_degree));
  fmt::print("fingerprint    {}\n", data.fingerprint);
  if (!data.has_language()) {
    fmt::print("language       none: item_language.npy is needed to train alpharec or linear\n");
    return 0;
  }
  fmt::print("language       width {}{}{}\n", data.language.width(),
             data.language_model.model.empty() ? "" : ", model " + data.language_model.model,
             data.language_model.basis.empty() ? "" : ", basis " + data.language_model.basis);
  Config config;
  if (!data.config_path.empty()) apply_config_file(config, data.config_path);
  config = resolve(config, data.language.width());
  config.batch = std::min(config.batch, data.train.entries());
  const int64_t needed =
      Model::bytes_needed(model_settings(config), data.users, data.items, data.train.entries(),
                          data.language.width(), 0) +
      Training::bytes_needed(training_settings(config), data.users, data.items, config.width);
  fmt::print("memory         about {} to train {} (batch {}, hidden {}), {} available\n",
             bytes_text(needed), config.model, config.batch, config.hidden,
             bytes_text(available_memory()));
  return 0;
}

}  // namespace

Command add_info(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "What a dataset holds, and what training on it needs");
  command->add_option("DATA", options->data, "dataset folder, or the authors' release tree")
      ->required();
  command->add_option("--language", options->language,
                      "which item_cf_embeds_NAME of the authors' tree");
  return [options] { return run_info(*options); };
}

}  // namespace rec
