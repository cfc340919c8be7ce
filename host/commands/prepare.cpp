#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/commands/commands.h"
#include "host/commands/item_names.h"
#include "host/dataset/cold_split.h"
#include "host/dataset/dataset_writer.h"
#include "host/formats/file_error.h"
#include "host/formats/unfinished_folder.h"
#include "host/prepare/filters.h"
#include "host/prepare/interaction_log.h"
#include "host/prepare/source.h"
#include "host/prepare/splitter.h"
#include "host/prepare/time_text.h"
#include "host/progress/progress.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path, folder;
  SourceOptions source;
  std::string title_columns;
  std::optional<std::string> title_separator;  // else a blank
  std::string dedup = "first", since, until, core;
  std::optional<double> least_rating;
  int64_t item_once = 1, user_once = 1, most_bad_lines = 0;
  std::string split;  // "": as the source has it, else 4:3:3
  std::optional<double> cold_share;
  uint64_t seed = 101;
  bool quiet = false;
};

// "5,10", or "5" for both: of users, of items.
std::pair<int64_t, int64_t> core_of(const std::string& word) {
  int64_t user = 0, item = 0;
  const char* last = word.data() + word.size();
  std::from_chars_result read = std::from_chars(word.data(), last, user);
  item = user;
  if (read.ec == std::errc() && read.ptr != last && *read.ptr == ',')
    read = std::from_chars(read.ptr + 1, last, item);
  if (read.ec != std::errc() || read.ptr != last || user < 1 || item < 1)
    throw std::invalid_argument(fmt::format(
        "--k-core '{}': must be how many interactions a user and an item have at least, as in 5,10",
        word));
  return {user, item};
}

std::optional<TimeLimit> limit_given(const std::string& word, const char* option) {
  if (word.empty()) return std::nullopt;
  const std::optional<int64_t> time = parsed_time(word);
  if (!time)
    throw std::invalid_argument(fmt::format(
        "{} '{}': must be a number, as the source has them, or a date such as 2018-01-31", option,
        word));
  return TimeLimit{*time, parsed_date(word).has_value()};
}

// What each step took and left: printed as a table, and part of manifest.json.
class Steps {
 public:
  explicit Steps(const std::string& format) {
    print(format, "removed", "interactions", "users", "items");
  }
  // Where nobody has counted the users and items.
  void add(const std::string& name, int64_t removed, int64_t interactions) {
    json_.push_back({{"step", name}, {"removed", removed}, {"interactions", interactions}});
    print(name, removed, interactions, "", "");
  }
  void add(const std::string& name, int64_t removed, int64_t interactions, int64_t users,
           int64_t items) {
    json_.push_back({{"step", name},
                     {"removed", removed},
                     {"interactions", interactions},
                     {"users", users},
                     {"items", items}});
    print(name, removed, interactions, users, items);
    if (interactions == 0)
      throw std::invalid_argument(name + ": no interaction is left; ask for less");
  }
  void add(const std::string& name, int64_t removed, const InteractionLog& log) {
    int64_t users = 0;
    for (int64_t u = 0; u < log.users.size(); ++u) users += log.degree(u) > 0;
    std::vector<uint8_t> has_come(size_t(log.items.size()), 0);
    for (const int32_t item : log.item) has_come[size_t(item)] = 1;
    add(name, removed, log.size(), users, std::count(has_come.begin(), has_come.end(), 1));
  }
  const Json& json() const { return json_; }

 private:
  template <class Removed, class Interactions, class Users, class Items>
  static void print(const std::string& name, Removed removed, Interactions interactions,
                    Users users, Items items) {
    fmt::print("{:<24} {:>12} {:>12} {:>10} {:>10}\n", name, removed, interactions, users, items);
  }
  Json json_ = Json::array();
};

Reading read_all(const Source& source, const Options& options, const SplitPlan& plan) {
  const bool sums = options.dedup == "sum";
  ReadingOptions reading;
  if (!sums) reading.least_rating = options.least_rating;
  reading.keep_ratings = sums;
  reading.since = limit_given(options.since, "--since");
  reading.until = limit_given(options.until, "--until");
  // Times are read where something asks for them; the first and the last of repeated interactions
  // are then those by time, else by line.
  reading.keep_times = plan.rule == SplitRule::temporal || plan.rule == SplitRule::leave_one_out ||
                       reading.since || reading.until ||
                       !options.source.column[size_t(Column::time)].empty();
  reading.keep_split = plan.rule == SplitRule::given;
  reading.most_bad_lines = options.most_bad_lines;
  constexpr int64_t kThousandths = 1000;
  Progress progress(kThousandths, options.quiet);
  return read_interactions_of(source, reading, [&](int64_t done, int64_t all) {
    progress.update(all > 0 ? kThousandths * done / all : 0, fmt::format("{} MB", done >> 20));
  });
}

// What was left out while the source was read.
void add_reading(const Reading& reading, const Options& options, Steps& steps) {
  const int64_t times = reading.outside_time, ratings = reading.below_rating;
  const int64_t kept = reading.log.size();
  steps.add(fmt::format("{} lines read", reading.lines), reading.bad_interactions,
            kept + times + ratings);
  if (options.least_rating && options.dedup != "sum")
    steps.add(fmt::format("--min-rating {}", *options.least_rating), ratings, kept + times);
  if (!options.since.empty() || !options.until.empty())
    steps.add(fmt::format("{}{}{}", options.since.empty() ? "" : "--since " + options.since,
                          options.since.empty() || options.until.empty() ? "" : " ",
                          options.until.empty() ? "" : "--until " + options.until),
              times, kept);
}

void filter(InteractionLog& log, const Options& options, Steps& steps) {
  const Dedup dedup = options.dedup == "first"  ? Dedup::first
                      : options.dedup == "last" ? Dedup::last
                                                : Dedup::sum;
  const auto add = [&](const std::string& name, int64_t removed) { steps.add(name, removed, log); };
  add("--dedup " + options.dedup, drop_repeats(log, dedup));
  if (dedup == Dedup::sum && options.least_rating)
    add(fmt::format("--min-rating {}", *options.least_rating),
        drop_ratings_below(log, *options.least_rating));
  if (options.item_once > 1)
    add(fmt::format("--min-item-once {}", options.item_once),
        drop_rare_items(log, options.item_once));
  if (options.user_once > 1)
    add(fmt::format("--min-user-once {}", options.user_once),
        drop_rare_users(log, options.user_once));
  if (!options.core.empty()) {
    const auto [user, item] = core_of(options.core);
    add("--k-core " + options.core, keep_core(log, user, item));
  }
}

// An item without a title goes by its id, as users do.
IdTable table_of(const IdDictionary& ids, const std::vector<int32_t>& numbers,
                 const std::vector<std::string>& title) {
  IdTable table;
  for (const int32_t number : numbers) {
    table.original_id.emplace_back(ids.id(number));
    const bool has_title = !title.empty() && !title[size_t(number)].empty();
    table.title.push_back(has_title ? title[size_t(number)] : table.original_id.back());
  }
  return table;
}

// Items of the dataset without a title in the file of items, by their own ids.
std::vector<std::string> untitled(const IdDictionary& items, const std::vector<int32_t>& numbers,
                                  const std::vector<std::string>& title) {
  std::vector<std::string> ids;
  for (const int32_t number : numbers)
    if (title[size_t(number)].empty()) ids.emplace_back(items.id(number));
  return ids;
}

// The first few, for a sentence.
std::string some_of(const std::vector<std::string>& words) {
  constexpr size_t kShown = 5;
  const std::vector<std::string> first(words.begin(),
                                       words.begin() + ptrdiff_t(std::min(words.size(), kShown)));
  return fmt::format("{}{}", fmt::join(first, ", "), words.size() > kShown ? ", ..." : "");
}

Json options_json(const Options& options) {
  Json json;
  const auto add = [&](const char* name, const auto& value, bool is_given) {
    if (is_given) json[name] = value;
  };
  for (size_t c = 0; c < kColumns; ++c)
    add(kColumnOptions[c] + 2, options.source.column[c], !options.source.column[c].empty());
  add("title-cols", options.title_columns, !options.title_columns.empty());
  if (options.title_separator) json["title-separator"] = *options.title_separator;
  add("delimiter", options.source.delimiter, !options.source.delimiter.empty());
  add("encoding", options.source.encoding, !options.source.encoding.empty());
  add("header", options.source.header > 0, options.source.header != 0);
  if (options.least_rating) json["min-rating"] = *options.least_rating;
  add("since", options.since, !options.since.empty());
  add("until", options.until, !options.until.empty());
  json["dedup"] = options.dedup;
  add("min-item-once", options.item_once, options.item_once > 1);
  add("min-user-once", options.user_once, options.user_once > 1);
  add("k-core", options.core, !options.core.empty());
  json["split"] = options.split;
  if (options.cold_share) json["share"] = *options.cold_share;
  json["seed"] = options.seed;
  add("skip-bad-lines", options.most_bad_lines, options.most_bad_lines > 0);
  return json;
}

// How each file of interactions was understood: for manifest.json, and in words for the screen.
Json understood(const Source& source, std::vector<std::string>& sentences) {
  constexpr std::array<const char*, kColumns> kWhat = {"user", "item", "rating", "time", "split"};
  Json json = Json::array();
  for (const InteractionFile& file : source.interactions) {
    const std::string name = std::filesystem::path(file.path).filename().string();
    Json columns;
    std::vector<std::string> words;
    for (size_t c = 0; c < kColumns; ++c) {
      if (file.name[c].empty()) continue;
      columns[kWhat[c]] = file.name[c];
      words.push_back(fmt::format("{} is {}", kWhat[c], file.name[c]));
    }
    sentences.push_back(fmt::format("{}: {}", name, fmt::join(words, ", ")));
    json.push_back({{"file", name},
                    {"columns", columns},
                    {"delimiter", file.dialect.objects ? ""
                                  : file.is_numbered   ? " "
                                                       : file.dialect.delimiter},
                    {"header", file.has_header},
                    {"encoding", file.dialect.latin1 ? "latin1" : "utf-8"}});
  }
  return json;
}

Json sources_json(const std::vector<SourceFacts>& sources) {
  Json json = Json::array();
  for (const SourceFacts& each : sources)
    json.push_back({{"file", each.file}, {"bytes", each.bytes}, {"xxh3", each.hash}});
  return json;
}

void print_bad_lines(const std::vector<std::string>& bad_lines) {
  constexpr size_t kShown = 20;
  for (size_t n = 0; n < std::min(bad_lines.size(), kShown); ++n)
    fmt::print(stderr, "skipped {}\n", bad_lines[n]);
  if (bad_lines.size() > kShown)
    fmt::print(stderr, "skipped {} more lines, which manifest.json names\n",
               bad_lines.size() - kShown);
}

int run_prepare(Options options) {
  const bool cold_items = options.split == "cold-items", cold_users = options.split == "cold-users";
  SplitPlan plan =
      split_plan(cold_items || cold_users || options.split.empty() ? "4:3:3" : options.split);
  plan.seed = options.seed;
  if (options.cold_share && !cold_items && !cold_users)
    throw std::invalid_argument(
        "--share is of --split cold-items and cold-users alone; leave it out");
  if (cold_items || cold_users) {
    options.cold_share = options.cold_share.value_or(kDefaultColdShare);
    require_cold_share(*options.cold_share);
  }
  if (options.least_rating && !std::isfinite(*options.least_rating))
    throw std::invalid_argument(
        fmt::format("--min-rating {}: must be a number", *options.least_rating));
  if (!options.core.empty()) core_of(options.core);
  if (!options.source.column[size_t(Column::split)].empty() && !options.split.empty())
    throw std::invalid_argument(
        "--split-col and --split both say which interactions go where; leave one out");
  if (options.title_separator && options.title_columns.empty())
    throw std::invalid_argument(
        "--title-separator stands between the columns of --title-cols; name these, or leave it "
        "out");
  require_free_folder(options.folder);
  options.source.most_bad_lines = options.most_bad_lines;
  if (!options.title_columns.empty())
    options.source.title_columns = split_list(options.title_columns, "--title-cols");
  const Source source = find_source(options.path, options.source);
  if (options.split.empty() && source.is_split()) plan.rule = SplitRule::given;
  if (options.split.empty()) options.split = plan.rule == SplitRule::given ? "given" : "4:3:3";

  Reading reading = read_all(source, options, plan);
  InteractionLog& log = reading.log;
  std::vector<std::string> title = std::move(reading.item_title);
  if (source.items) {
    Titles titles = read_titles(*source.items, log.items, options.title_separator.value_or(" "),
                                options.most_bad_lines, reading.bad_lines);
    title = std::move(titles.title);
    reading.sources.push_back(titles.source);
  }
  print_bad_lines(reading.bad_lines);

  Steps steps(source.format);
  add_reading(reading, options, steps);
  filter(log, options, steps);
  SplitLog parts = split(log, plan);
  if (plan.rule == SplitRule::given && parts.train.entries() == 0)
    throw FileError(options.path,
                    "has no interaction in its part train that is kept, and nothing to train on; "
                    "give --split 4:3:3 to split all of it anew");
  steps.add("--split " + options.split, parts.without_training,
            parts.train.entries() + parts.valid.entries() + parts.test.entries(),
            int64_t(parts.user_of.size()), int64_t(parts.item_of.size()));

  Dataset data;
  data.users = int64_t(parts.user_of.size());
  data.items = int64_t(parts.item_of.size());
  data.user_table = table_of(log.users, parts.user_of, reading.user_title);
  data.item_table = table_of(log.items, parts.item_of, title);
  data.train = std::move(parts.train);
  data.valid = std::move(parts.valid);
  data.test = std::move(parts.test);
  if (cold_items || cold_users)
    take_split(data, cold_split(data, cold_items ? Cold::items : Cold::users, *options.cold_share,
                                options.seed));

  std::vector<std::string> without_title;
  if (source.items) without_title = untitled(log.items, parts.item_of, title);
  std::vector<std::string> sentences;
  const Json manifest = {{"made_by", "rec_engine prepare"},
                         {"format", source.format},
                         {"sources", sources_json(reading.sources)},
                         {"read_as", understood(source, sentences)},
                         {"options", options_json(options)},
                         {"lines", reading.lines},
                         {"skipped", reading.bad_lines},
                         {"steps", steps.json()},
                         {"users", data.users},
                         {"items", data.items},
                         {"train", data.train.entries()},
                         {"valid", data.valid.entries()},
                         {"test", data.test.entries()},
                         {"without_title", without_title}};
  write_dataset(
      options.folder, data,
      {{"manifest.json", manifest.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"}});

  fmt::print("{}: {} users, {} items; {} train, {} valid, {} test\n", options.folder, data.users,
             data.items, data.train.entries(), data.valid.entries(), data.test.entries());
  for (const std::string& sentence : sentences) fmt::print("{}\n", sentence);
  if (title.empty())
    fmt::print("no titles: items go by their ids; name a file of items with --items\n");
  if (!without_title.empty())
    fmt::print("{} items have no title and go by their ids: {}\n", without_title.size(),
               some_of(without_title));
  return 0;
}

}  // namespace

Command add_prepare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("prepare", "A dataset folder from files of interactions and items");
  command->add_option("SOURCE", options->path, "a file of interactions, or the folder it lies in")
      ->required();
  command->add_option("--out", options->folder, "folder to write")->required();
  command->add_option("--format", options->source.format, "how SOURCE is written")
      ->check(CLI::IsMember(kSourceFormats))
      ->capture_default_str();
  for (size_t c = 0; c < kColumns; ++c)
    command->add_option(kColumnOptions[c], options->source.column[c],
                        "column, by its name or its number from 1");
  command->add_option("--delimiter", options->source.delimiter, "between columns");
  command->add_flag("--header{1},--no-header{-1}", options->source.header,
                    "whether the first line names the columns");
  command->add_option("--encoding", options->source.encoding, "of SOURCE and of the items")
      ->check(CLI::IsMember({"utf-8", "latin1"}));
  command->add_option("--items", options->source.items, "file of items: ids and titles");
  command->add_option("--title-cols", options->title_columns,
                      "columns that make a title, with commas between them");
  command->add_option("--title-separator", options->title_separator, "between these in a title");
  command->add_option("--min-rating", options->least_rating, "leave out lower ratings");
  command->add_option("--since", options->since, "leave out what is earlier: a time or a date");
  command->add_option("--until", options->until, "leave out what is not earlier");
  command
      ->add_option("--dedup", options->dedup,
                   "which of a user's interactions with one item stays: by time where times "
                   "are read, else by line; sum: of the ratings")
      ->check(CLI::IsMember({"first", "last", "sum"}))
      ->capture_default_str();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  command
      ->add_option("--min-item-once", options->item_once,
                   "leave out items with fewer interactions, counted once")
      ->check(CLI::Range(int64_t{1}, kMost));
  command
      ->add_option("--min-user-once", options->user_once,
                   "leave out users with fewer interactions, counted once, after the items")
      ->check(CLI::Range(int64_t{1}, kMost));
  command->add_option("--k-core", options->core,
                      "U,I: leave out until every user has U interactions and every item I");
  command->add_option("--split", options->split,
                      "TRAIN:VALID:TEST, temporal[:TRAIN:VALID:TEST], leave-one-out, cold-items or "
                      "cold-users; as SOURCE is split, else 4:3:3");
  command->add_option("--share", options->cold_share,
                      "of the items or users, with --split cold-...");
  command->add_option("--seed", options->seed, "of the split")
      ->check(CLI::Range(int64_t{0}, kMost))
      ->capture_default_str();
  command
      ->add_option("--skip-bad-lines", options->most_bad_lines, "pass over so many, and say which")
      ->check(CLI::Range(int64_t{0}, kMost));
  command->add_flag("--quiet", options->quiet, "no progress");
  return [options] { return run_prepare(*options); };
}

}  // namespace rec
