#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "engine/new_user.h"
#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/commands/list_printer.h"
#include "host/run/loaded_run.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string users, history;
  std::string format = "table", only_file, exclude_file;
  int64_t k = 10;
  bool include_seen = false;
};

constexpr size_t kUsersAtOnce = 4096;  // lists held before they are printed

std::string user_heading(const Dataset& data, int32_t user) {
  const int64_t history = data.train.view().degree(user);
  return fmt::format("for {} ({} items in train):", data.user_name(user), history);
}

// Items nobody should see twice: every split the dataset has.
std::vector<CsrView> seen_masks(const std::vector<DeviceCsr>& splits) {
  std::vector<CsrView> masks;
  for (const DeviceCsr& split : splits) masks.push_back(split.view());
  return masks;
}

int run_recommend(const Options& options) {
  if (options.users.empty() == options.history.empty())
    throw std::invalid_argument(
        "recommend: give either --users ID,ID (or all) or --history ITEM,ITEM");
  LoadedRun run = load_run(options.load);
  const Dataset& data = run.data;
  Backend& backend = *run.backend;
  const std::vector<uint8_t> allowed_host =
      allowed_items(data, options.only_file, options.exclude_file);
  const Array<uint8_t> allowed(backend, allowed_host);
  const Representations& vectors = run.model->representations();
  ListPrinter printer(data, options.format, "user");

  if (!options.history.empty()) {
    std::vector<int32_t> history = items_named(data, split_list(options.history, "--history"));
    std::sort(history.begin(), history.end());
    history.erase(std::unique(history.begin(), history.end()), history.end());
    const std::vector<float> vector =
        new_user_vector(*run.model, data.language.view(), data.train.view(), history);
    Matrix<float> user(backend, 1, int64_t(vector.size()));
    backend.upload(user.data(), vector.data(), sizeof(float) * vector.size());
    const HostCsr own{1, data.items, {0, int64_t(history.size())}, history};
    const DeviceCsr seen(backend, own.view());
    VectorRanker ranker(backend, user.view(), vectors.item());
    const TopLists lists =
        ranker.rank({0}, options.include_seen ? std::vector<CsrView>() : std::vector{seen.view()},
                    allowed.view(), options.k);
    printer.print("history", fmt::format("for a new user with {} items:", history.size()), lists,
                  0);
    return 0;
  }
  std::vector<int32_t> users(static_cast<size_t>(data.users));
  std::iota(users.begin(), users.end(), 0);
  if (options.users != "all") users = users_named(data, split_list(options.users, "--users"));
  std::vector<DeviceCsr> splits;
  if (!options.include_seen)
    for (const HostCsr* split : {&data.train, &data.valid, &data.test})
      splits.emplace_back(backend, split->view());
  VectorRanker ranker(backend, vectors.user(), vectors.item());
  for (size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    const std::vector<int32_t> some(
        users.begin() + ptrdiff_t(first),
        users.begin() + ptrdiff_t(std::min(first + kUsersAtOnce, users.size())));
    const TopLists lists = ranker.rank(some, seen_masks(splits), allowed.view(), options.k);
    for (size_t row = 0; row < some.size(); ++row)
      printer.print(data.user_name(some[row]), user_heading(data, some[row]), lists, int64_t(row));
  }
  return 0;
}

}  // namespace

Command add_recommend(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("recommend", "The best items for users of a run, or for a new history");
  command->add_option("RUN", options->load.run, "run folder, checkpoint or folder of .npy weights")
      ->required();
  command->add_option("--users", options->users, "external ids, as ID,ID, or all");
  command->add_option("--history", options->history, "items of someone never seen, as ITEM,ITEM");
  command->add_option("--topk", options->k, "items a list")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_option("--format", options->format)
      ->check(CLI::IsMember({"table", "tsv", "jsonl"}))
      ->capture_default_str();
  command->add_flag("--include-seen", options->include_seen,
                    "also items of the user's train, valid and test splits");
  command->add_option("--only-items", options->only_file,
                      "file of item ids, one a line: recommend these only");
  command->add_option("--exclude-items", options->exclude_file,
                      "file of item ids, one a line: never these");
  command->add_option("--data", options->load.data, "dataset instead of the run's own");
  command->add_option("--language", options->load.language,
                      "which item_cf_embeds_NAME of the authors' tree");
  command->add_option("--set", options->load.settings, "key=value for a folder of .npy weights");
  command->add_option("--device", options->load.device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->load.threads, "0: all processors")
      ->check(CLI::Range(0, 4096));
  return [options] { return run_recommend(*options); };
}

}  // namespace rec
