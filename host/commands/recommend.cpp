#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "host/commands/commands.h"
#include "host/commands/intention_queries.h"
#include "host/commands/item_names.h"
#include "host/commands/list_array.h"
#include "host/commands/list_printer.h"
#include "host/commands/output_file.h"
#include "host/commands/shared_options.h"
#include "host/formats/file_error.h"
#include "host/library/recommender.h"

namespace rec {
namespace {

struct Options {
  LoadRequest load;
  std::string users, users_file, history, histories_file;
  std::string format = "table", out = "-", only_file, exclude_file;
  std::string intent_file, intent_item, alpha;
  int64_t k = 10;
  bool include_seen = false;
  bool exact = false;
};

bool has_intention(const Options& options) {
  return !options.intent_file.empty() || !options.intent_item.empty();
}

constexpr size_t kUsersAtOnce = 4096;  // lists held before they are printed

ListRequest request_of(const Options& options, std::vector<uint8_t> allowed) {
  ListRequest request;
  request.k = options.k;
  if (options.include_seen) request.leave_out.clear();
  request.allowed = std::move(allowed);
  return request;
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

// Calls each(users, lists) for some of the users after the others.
template <class Rank, class Each>
void rank_in_blocks(const std::vector<int32_t>& users, Rank rank, Each each) {
  for (size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    const size_t end = std::min(first + kUsersAtOnce, users.size());
    const std::vector<int32_t> some(users.begin() + ptrdiff_t(first),
                                    users.begin() + ptrdiff_t(end));
    each(some, rank(some));
  }
}

// rank(users) makes their lists; kind: what is said of them above a table, or "".
template <class Rank>
void print_lists(const LoadedRun& run, const Options& options, const std::vector<int32_t>& users,
                 const std::string& kind, Rank rank) {
  const Dataset& data = run.data;
  print_notices(run);
  if (options.format == "npy") {
    ListArray array(options.out, int64_t(users.size()), std::min(options.k, data.items));
    rank_in_blocks(users, rank,
                   [&](const std::vector<int32_t>&, const TopLists& lists) { array.add(lists); });
    return array.finish();
  }
  ListPrinter printer(data, options.format, "user", options.out);
  rank_in_blocks(users, rank, [&](const std::vector<int32_t>& some, const TopLists& lists) {
    for (size_t row = 0; row < some.size(); ++row) {
      const std::string name = data.user_name(some[row]);
      const int64_t history = data.train.view().degree(some[row]);
      printer.print(name, fmt::format("for {} ({} items in train){}:", name, history, kind), lists,
                    int64_t(row));
    }
  });
  printer.finish();
}

void recommend_to_users(Recommender& recommender, const Options& options,
                        const ListRequest& request) {
  const std::vector<int32_t> users = chosen_users(recommender.data(), options);
  print_lists(recommender.run(), options, users, "", [&](const std::vector<int32_t>& some) {
    return recommender.for_users(some, request);
  });
}

// The users' lists moved towards a query: a vector of the caller's, or an item's own.
void recommend_with_intention(Recommender& recommender, const Options& options,
                              const ListRequest& request) {
  const Dataset& data = recommender.data();
  require_language_model(recommender.run(), "an intention");
  const std::vector<double> alphas = parse_alphas(options.alpha);
  if (alphas.size() != 1)
    throw std::invalid_argument("--alpha " + options.alpha + ": recommend takes one value");
  const std::vector<int32_t> users = chosen_users(data, options);
  const int64_t width = data.language.width();
  Intention intention{{}, alphas[0], options.exact};
  std::vector<float> query;
  if (options.intent_file.empty()) {
    intention.query =
        data.language.view().rows_from(items_named(data, {options.intent_item})[0], 1);
  } else {
    query = read_intent_vector(options.intent_file, data);
    intention.query = {query.data(), 1, width};
  }
  const std::string kind =
      fmt::format(", alpha {:g} towards {}", alphas[0],
                  options.intent_file.empty() ? options.intent_item : options.intent_file);
  print_lists(recommender.run(), options, users, kind, [&](const std::vector<int32_t>& some) {
    return recommender.for_users_towards(some, intention, request);
  });
}

// Each as a set, ascending.
std::vector<std::vector<int32_t>> chosen_histories(const Dataset& data, const Options& options) {
  std::vector<std::vector<int32_t>> histories;
  if (!options.history.empty())
    histories.push_back(items_named(data, split_list(options.history, "--history")));
  else
    for (const std::vector<std::string>& names : read_name_lists(options.histories_file))
      histories.push_back(items_named(data, names));
  if (histories.empty())
    throw FileError(options.histories_file,
                    "holds no history; it has one a line, items between tabs");
  for (std::vector<int32_t>& history : histories) {
    std::sort(history.begin(), history.end());
    history.erase(std::unique(history.begin(), history.end()), history.end());
  }
  return histories;
}

void recommend_to_histories(Recommender& recommender, const Options& options,
                            const ListRequest& request) {
  const Dataset& data = recommender.data();
  require_language_model(recommender.run(), options.history.empty() ? "--histories" : "--history");
  const std::vector<std::vector<int32_t>> histories = chosen_histories(data, options);
  const TopLists lists = recommender.for_histories(
      histories, options.exact ? NewUserGraph::rebuilt : NewUserGraph::frozen, request);
  print_notices(recommender.run());
  if (options.format == "npy") {
    ListArray array(options.out, lists.rows, lists.k);
    array.add(lists);
    return array.finish();
  }
  ListPrinter printer(data, options.format, "user", options.out);
  for (size_t row = 0; row < histories.size(); ++row) {
    std::vector<std::string> names;
    for (int32_t item : histories[row]) names.push_back(data.item_name(item));
    const std::string number = options.histories_file.empty() ? "" : std::to_string(row + 1);
    printer.print_for_history(names, number.empty() ? "history" : "history " + number,
                              fmt::format("for a new user with {} items{}{}:", names.size(),
                                          number.empty() ? "" : " (history " + number + ")",
                                          options.exact ? ", on the graph rebuilt with her" : ""),
                              lists, int64_t(row));
  }
  printer.finish();
}

int run_recommend(const Options& options) {
  const auto given = [](const std::string& text) { return text.empty() ? 0 : 1; };
  const bool has_history = !options.history.empty() || !options.histories_file.empty();
  if (given(options.users) + given(options.users_file) + given(options.history) +
          given(options.histories_file) !=
      1)
    throw std::invalid_argument(
        "recommend: give one of --users ID,ID (or all), --users-file FILE, --history ITEM,ITEM and "
        "--histories FILE");
  if (has_intention(options) == options.alpha.empty())
    throw std::invalid_argument(
        "recommend: an intention is a query, --intent-vector FILE.npy or --intent-item ITEM, and "
        "its strength, --alpha A; give both or neither");
  if (options.exact && !has_intention(options) && !has_history)
    throw std::invalid_argument(
        "recommend: --exact is for an intention or a history; the dataset's own users have exact "
        "lists without it");
  if (has_intention(options) && has_history)
    throw std::invalid_argument(
        "recommend: an intention moves the lists of --users, not of --history");
  if (options.format == "npy" && is_standard_output(options.out))
    throw std::invalid_argument(
        "recommend: --format npy writes an array for NumPy; say where with --out FILE.npy");
  Recommender recommender(load_run(options.load));
  const ListRequest request = request_of(
      options, allowed_items(recommender.data(), options.only_file, options.exclude_file));
  if (has_intention(options))
    recommend_with_intention(recommender, options, request);
  else if (has_history)
    recommend_to_histories(recommender, options, request);
  else
    recommend_to_users(recommender, options, request);
  return 0;
}

}  // namespace

Command add_recommend(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("recommend", "The best items for users of a run, or for a new history");
  add_run_options(*command, options->load);
  add_new_item_options(*command, options->load);
  command->add_option("--users", options->users, "external ids, as ID,ID, or all");
  command->add_option("--users-file", options->users_file,
                      "file of external ids, one a line: for ids with commas");
  command->add_option("--history", options->history, "items of someone never seen, as ITEM,ITEM");
  command->add_option("--histories", options->histories_file,
                      "file of such histories, one a line, items between tabs");
  CLI::Option* vector =
      command->add_option("--intent-vector", options->intent_file,
                          "move the users' lists towards this language vector (.npy)");
  command->add_option("--intent-item", options->intent_item, "move them towards this item's vector")
      ->excludes(vector);
  command->add_option("--alpha", options->alpha, "how far, from 0 (not) to 1 (the query alone)");
  command->add_flag(
      "--exact", options->exact,
      "propagate everything again for each list: of an intention instead of the closed "
      "form, of a history on the graph rebuilt with her");
  add_list_options(*command, options->k, options->format, {"table", "tsv", "jsonl", "npy"});
  command->add_option("--out", options->out, "file to write; - for standard output")
      ->capture_default_str();
  command->add_flag("--include-seen", options->include_seen,
                    "also items of the user's train, valid and test splits");
  command->add_option("--only-items", options->only_file,
                      "file of item ids, one a line: recommend these only");
  command->add_option("--exclude-items", options->exclude_file,
                      "file of item ids, one a line: never these");
  return [options] { return run_recommend(*options); };
}

}  // namespace rec
