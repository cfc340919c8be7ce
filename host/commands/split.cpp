#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <utility>

#include "host/commands/commands.h"
#include "host/commands/shared_options.h"
#include "host/dataset/cold_split.h"
#include "host/dataset/dataset_writer.h"

namespace rec {
namespace {

struct Options {
  std::string data, language, folder, cold;
  double share = kDefaultColdShare;
  uint64_t seed = 101;
};

int run_split(const Options& options) {
  require_cold_share(options.share);
  DatasetOptions reading;
  reading.language = options.language;
  Dataset data = load_dataset(options.data, reading);
  const bool items = options.cold == "items";
  ColdSplit split =
      cold_split(data, items ? Cold::items : Cold::users, options.share, options.seed);
  take_split(data, std::move(split));
  write_dataset(options.folder, data);
  fmt::print("{}: {} of {} {} with training interactions are cold (share {}, seed {})\n",
             options.folder, split.chosen, split.among, options.cold, options.share, options.seed);
  fmt::print("moved          {} interactions to {}\n", split.moved, items ? "test" : "valid");
  fmt::print("interactions   {} train, {} valid, {} test\n", data.train.entries(),
             data.valid.entries(), data.test.entries());
  return 0;
}

}  // namespace

Command add_split(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "split", "A dataset with items or users that training knows nothing of, made from another");
  command->add_option("DATA", options->data, "dataset folder, or the authors' release tree")
      ->required();
  command->add_option("--out", options->folder, "folder to write")->required();
  command
      ->add_option("--cold", options->cold,
                   "items: their train and valid interactions go to test; users: their train "
                   "interactions go to valid")
      ->check(CLI::IsMember({"items", "users"}))
      ->required();
  command->add_option("--share", options->share, "of those with training interactions")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the draw")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  add_language_option(*command, options->language);
  return [options] { return run_split(*options); };
}

}  // namespace rec
