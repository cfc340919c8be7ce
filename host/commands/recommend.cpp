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
#include "host/commands/shared_options.h"
#include "host/formats/file_error.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string users, users_file, history;
  std::string format = "table", only_file, exclude_file;
  int64_t k = 10;
  bool include_seen = false;
};

constexpr size_t kUsersAtOnce = 4096;  // lists held before they are printed

// Of every split the dataset has: what a person has already, whichever split it fell into.
std::vector<DeviceCsr> seen_items(Backend& backend, const Dataset& data) {
  std::vector<DeviceCsr> seen;
  for (const HostCsr* split : {&data.train, &data.valid, &data.test})
    seen.emplace_back(backend, split->view());
  return seen;
}

std::vector<CsrView> views(const std::vector<DeviceCsr>& owners) {
  std::vector<CsrView> all;
  for (const DeviceCsr& owner : owners) all.push_back(owner.view());
  return all;
}

std::vector<int32_t> chosen_users(const Dataset& data, const Options& options) {
  if (!options.users_file.empty()) {
    const std::vector<int32_t> users = users_named(data, read_names(options.users_file));
    if (users.empty()) throw FileError(options.users_file, "names no user; it holds one id a line");
    return users;
  }
  if (options.users != "all") return users_named(data, split_list(options.users, "--users"));
  std::vector<int32_t> users(static_cast<size_t>(data.users));
  std::iota(users.begin(), users.end(), 0);
  return users;
}

void recommend_to_users(LoadedRun& run, const Options& options, VectorView<const uint8_t> allowed) {
  const Dataset& data = run.data;
  const std::vector<int32_t> users = chosen_users(data, options);
  std::vector<DeviceCsr> seen;
  if (!options.include_seen) seen = seen_items(*run.backend, data);
  const Representations& vectors = run.model->representations();
  VectorRanker ranker(*run.backend, vectors.user(), vectors.item());
  print_notices(run);
  ListPrinter printer(data, options.format, "user");
  for (size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    const size_t end = std::min(first + kUsersAtOnce, users.size());
    const std::vector<int32_t> some(users.begin() + ptrdiff_t(first),
                                    users.begin() + ptrdiff_t(end));
    const TopLists lists = ranker.rank(some, views(seen), allowed, std::min(options.k, data.items));
    for (size_t row = 0; row < some.size(); ++row) {
      const std::string name = data.user_name(some[row]);
      const int64_t history = data.train.view().degree(some[row]);
      printer.print(name, fmt::format("for {} ({} items in train):", name, history), lists,
                    int64_t(row));
    }
  }
}

void recommend_to_history(LoadedRun& run, const Options& options,
                          VectorView<const uint8_t> allowed) {
  const Dataset& data = run.data;
  Backend& backend = *run.backend;
  std::vector<int32_t> history = items_named(data, split_list(options.history, "--history"));
  std::sort(history.begin(), history.end());
  history.erase(std::unique(history.begin(), history.end()), history.end());
  const std::vector<float> vector =
      new_user_vector(*run.model, data.language.view(), data.train.view(), history);
  Matrix<float> user(backend, 1, int64_t(vector.size()));
  backend.upload(user.data(), vector.data(), sizeof(float) * vector.size());
  const HostCsr own{1, data.items, {0, int64_t(history.size())}, history};
  std::vector<DeviceCsr> seen;
  if (!options.include_seen) seen.emplace_back(backend, own.view());
  VectorRanker ranker(backend, user.view(), run.model->representations().item());
  const TopLists lists = ranker.rank({0}, views(seen), allowed, std::min(options.k, data.items));
  print_notices(run);
  std::vector<std::string> names;
  for (int32_t item : history) names.push_back(data.item_name(item));
  ListPrinter(data, options.format, "user")
      .print_for_history(names, fmt::format("for a new user with {} items:", names.size()), lists);
}

int run_recommend(const Options& options) {
  const auto given = [](const std::string& text) { return text.empty() ? 0 : 1; };
  if (given(options.users) + given(options.users_file) + given(options.history) != 1)
    throw std::invalid_argument(
        "recommend: give one of --users ID,ID (or all), --users-file FILE and --history ITEM,ITEM");
  LoadedRun run = load_run(options.load);
  const Array<uint8_t> allowed(*run.backend,
                               allowed_items(run.data, options.only_file, options.exclude_file));
  if (options.history.empty())
    recommend_to_users(run, options, allowed.view());
  else
    recommend_to_history(run, options, allowed.view());
  return 0;
}

}  // namespace

Command add_recommend(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("recommend", "The best items for users of a run, or for a new history");
  add_run_options(*command, options->load);
  command->add_option("--users", options->users, "external ids, as ID,ID, or all");
  command->add_option("--users-file", options->users_file,
                      "file of external ids, one a line: for ids with commas");
  command->add_option("--history", options->history, "items of someone never seen, as ITEM,ITEM");
  add_list_options(*command, options->k, options->format);
  command->add_flag("--include-seen", options->include_seen,
                    "also items of the user's train, valid and test splits");
  command->add_option("--only-items", options->only_file,
                      "file of item ids, one a line: recommend these only");
  command->add_option("--exclude-items", options->exclude_file,
                      "file of item ids, one a line: never these");
  return [options] { return run_recommend(*options); };
}

}  // namespace rec
