#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/baselines.h"
#include "host/commands/candidate_ranking.h"
#include "host/commands/cold_evaluation.h"
#include "host/commands/commands.h"
#include "host/commands/evaluation_groups.h"
#include "host/commands/output_file.h"
#include "host/commands/shared_options.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/report/report.h"
#include "host/report/text_table.h"
#include "host/run/metrics_json.h"
#include "host/run/model_of_config.h"
#include "host/run/run_folder.h"
#include "host/run/split_evaluator.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kPopPool = 200;  // the paper's Pop draws among so many most popular items

struct Options {
  LoadRequest load;
  std::string model;  // a baseline, and load.run is a dataset; "" for a run's own model
  std::string split = "test", mask;
  std::vector<int64_t> cutoffs;
  std::string json_file, per_user_file;
  CandidateOptions candidates;
  std::string beside;  // a run trained on load.data
  bool groups = false;
  std::string cold;  // "items", "users" or ""
  uint64_t seed = 101;
};

// What is evaluated: a run's model, or a baseline on a dataset.
struct Subject {
  LoadedRun run;
  std::unique_ptr<Ranker> ranker;
  std::string name;
};

Subject trained_model(const LoadRequest& load) {
  Subject subject;
  subject.run = load_run(load);
  subject.name = model_label(subject.run.config);
  if (subject.run.trained_on == TrainedOn::other_data) subject.name += ", zero-shot";
  if (!subject.run.forced.empty()) subject.name += ", forced";
  const Representations& vectors = subject.run.model->representations();
  subject.ranker =
      std::make_unique<VectorRanker>(*subject.run.backend, vectors.user(), vectors.item());
  return subject;
}

std::unique_ptr<Ranker> make_baseline(const std::string& name, Backend& backend,
                                      const Dataset& data, uint64_t seed) {
  if (name == "popularity") return make_popularity(backend, data.train.view());
  if (name == "emb-knn") {
    require_language(data, name);
    return make_embedding_knn(backend, data.language.view(), data.train.view());
  }
  return make_random(backend, data.train.view(), name == "pop-random" ? kPopPool : 0, seed);
}

Subject baseline(const Options& options) {
  Subject subject;
  subject.name = options.model;
  const LoadRequest& load = options.load;
  DatasetOptions reading;
  reading.language = load.language;
  reading.any_language = options.model != "emb-knn";  // the others look at no vector
  subject.run.data = load_dataset(load.data.empty() ? load.run : load.data, reading);
  const std::string& config_path = subject.run.data.config_path;
  if (!config_path.empty()) apply_config_file(subject.run.config, config_path);
  subject.run.backend = make_backend(load.device, load.threads).backend;
  subject.ranker =
      make_baseline(options.model, *subject.run.backend, subject.run.data, options.seed);
  return subject;
}

Subject trained_there(const Options& options) {
  LoadRequest load = options.load;
  load.run = options.beside;
  load.settings.clear();
  load.force = false;
  Subject subject = trained_model(load);
  if (subject.run.trained_on != TrainedOn::this_dataset)
    throw FileError(options.beside, "was not trained on " + load.data +
                                        " as it is now; --beside takes a run that was");
  subject.name += ", trained here";
  return subject;
}

// What a model on a dataset named for it is held against, at the cut-offs: the baselines on its
// data, and the run trained there, whose ranker may be null.
std::vector<ReportRow> rows_beside(const Subject& subject, const Subject& there, uint64_t seed,
                                   const SplitEvaluator& evaluator, Split split,
                                   const std::vector<int64_t>& cutoffs) {
  std::vector<ReportRow> rows;
  const auto add = [&](const std::string& name, Ranker& ranker) {
    rows.push_back({name, evaluator.evaluate(ranker, split, cutoffs).mean});
  };
  std::vector<const char*> baselines = {"popularity", "random"};
  if (subject.run.data.has_language()) baselines.push_back("emb-knn");
  for (const char* name : baselines)
    add(name, *make_baseline(name, *subject.run.backend, subject.run.data, seed));
  if (there.ranker) add(there.name, *there.ranker);
  return rows;
}

// A path, which need not be UTF-8, may stand in it.
void write_json(const std::string& file, const Json& json) {
  write_output(file, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void write_per_user(const std::string& file, const Dataset& data, const Evaluation& evaluation) {
  std::string text = "user";
  for (const auto& [key, value] : named_means(evaluation.cutoffs, evaluation.mean))
    text += "\t" + key;
  for (const UserResult& result : evaluation.per_user) {
    text += "\n" + data.user_name(result.user);
    for (const MetricValues& values : result.at)
      for (double value : values) text += fmt::format("\t{}", value);
  }
  write_output(file, text + "\n");
}

Json json_of(const Subject& subject, const std::string& split, const std::string& masked,
             const Evaluation& evaluation, const std::vector<Group>& groups,
             const std::vector<ReportRow>& beside) {
  Json json = {{"split", split},
               {"users", evaluation.users},
               {"masked", masked},
               {"metrics", to_json(named_means(evaluation.cutoffs, evaluation.mean))}};
  if (!beside.empty()) json["model"] = subject.name;
  if (!subject.run.forced.empty()) json["forced"] = subject.run.forced;
  for (const ReportRow& row : beside)
    json["beside"].push_back(
        {{"model", row.name}, {"metrics", to_json(named_means(evaluation.cutoffs, row.mean))}});
  for (const Group& group : groups)
    json["groups"].push_back(
        {{"group", group.name},
         {"users", group.mean.users},
         {"metrics", to_json(named_means(evaluation.cutoffs, group.mean.at))}});
  return json;
}

void print_tables(const Subject& subject, const std::string& split, const std::string& masked,
                  const Evaluation& evaluation, const std::vector<Group>& groups,
                  const std::vector<ReportRow>& beside) {
  std::vector<ReportRow> rows = {{subject.name, evaluation.mean}};
  rows.insert(rows.end(), beside.begin(), beside.end());
  const Dataset& data = subject.run.data;
  fmt::print("{}: {} split, {} users, all {} items ranked, masked: {}\n{}\n", data.name, split,
             evaluation.users, data.items, masked, metrics_table(evaluation.cutoffs, rows));
  for (const Group& group : groups)
    fmt::print("\n{}: {} users\n{}\n", group.name, group.mean.users,
               metrics_table(evaluation.cutoffs, {{subject.name, group.mean.at}}));
}

void evaluate_candidates(const Options& options, Subject& subject, Split split) {
  const Dataset& data = subject.run.data;
  const CandidateRanking ranking = rank_candidates(*subject.ranker, data, split, options.candidates,
                                                   options.seed, options.cutoffs);
  if (!is_standard_output(options.json_file)) {
    TextTable table = {{{"metric"}, {subject.name}}};
    for (const auto& [key, value] : ranking.metrics)
      table.push_back({{key}, {fmt::format("{:.5f}", value)}});
    fmt::print("{}: {} split, {} lists of {} users, not all-ranking: {}\n{}\n", data.name,
               options.split, ranking.lists, ranking.users, ranking.origin,
               aligned(table, /*bold=*/false));
  }
  if (!options.json_file.empty()) {
    Json json = {{"split", options.split},
                 {"users", ranking.users},
                 {"lists", ranking.lists},
                 {"candidates", ranking.origin},
                 {"metrics", to_json(ranking.metrics)}};
    if (!subject.run.forced.empty()) json["forced"] = subject.run.forced;
    write_json(options.json_file, json);
  }
}

void evaluate_cold(const Options& options, Subject& subject, Split split) {
  const Dataset& data = subject.run.data;
  const std::vector<int64_t>& cutoffs = subject.run.config.topk;
  const bool users = options.cold == "users";
  if (users && split != Split::test)
    throw std::invalid_argument(
        "evaluate: --cold users evaluates the test split; valid is these users' history");
  if (users && options.mask == "train")
    throw std::invalid_argument(
        "evaluate: --cold users leaves out train and valid, which is these users' history; --mask "
        "train would not");
  const SplitEvaluator evaluator(*subject.run.backend, data,
                                 users ? "others" : subject.run.config.mask);
  const ColdEvaluation cold =
      users ? evaluate_cold_users(subject.run, *subject.ranker, subject.name, evaluator, cutoffs)
            : evaluate_cold_items(subject.run, *subject.ranker, subject.name, evaluator, split,
                                  cutoffs);
  print_notices(subject.run);
  if (!is_standard_output(options.json_file))
    fmt::print("{}: {} split, all {} items ranked, masked: {}\n{}", data.name, options.split,
               data.items, cold.masked, cold_tables(cold, cutoffs));
  if (!options.json_file.empty()) {
    Json json = {{"split", options.split}, {"cold", options.cold}};
    if (!subject.run.forced.empty()) json["forced"] = subject.run.forced;
    json.update(cold_json(cold, cutoffs));
    write_json(options.json_file, json);
  }
}

// What was found on one dataset.
struct Outcome {
  std::string data;  // the dataset's name
  Json json;
  std::vector<int64_t> cutoffs;
  std::vector<ReportRow> rows;  // the subject's, then those beside it
};

bool prints_tables(const Options& options) {
  return !is_standard_output(options.json_file) && !is_standard_output(options.per_user_file);
}

Outcome evaluate_all_items(const Options& options, Subject& subject, const Subject& there,
                           Split split) {
  const Dataset& data = subject.run.data;
  const Config& config = subject.run.config;
  const SplitEvaluator evaluator(*subject.run.backend, data, config.mask);
  ItemGroups of_items;
  if (options.groups) of_items = group_items(data);
  const Evaluation evaluation =
      evaluator.evaluate(*subject.ranker, split, config.topk, of_items.group_of_item);
  const std::string masked = masked_text(split, config.mask);
  std::vector<Group> groups;
  if (options.groups) {
    groups = user_groups(data, evaluation);
    for (Group& group : item_groups(of_items, evaluation)) groups.push_back(std::move(group));
  }
  std::vector<ReportRow> beside;
  if (options.model.empty() && !options.load.data.empty())
    beside = rows_beside(subject, there, options.seed, evaluator, split, config.topk);
  if (prints_tables(options))
    print_tables(subject, options.split, masked, evaluation, groups, beside);
  if (!options.per_user_file.empty()) write_per_user(options.per_user_file, data, evaluation);
  Outcome outcome{data.name,
                  json_of(subject, options.split, masked, evaluation, groups, beside),
                  config.topk,
                  {{subject.name, evaluation.mean}}};
  outcome.rows.insert(outcome.rows.end(), beside.begin(), beside.end());
  return outcome;
}

// Of the run's dataset, or of the one that is named; no outcome of candidates and cold ones, which
// are done with here, and of one of several datasets that lacks the split.
std::optional<Outcome> evaluate_on_one(const Options& options) {
  const Split split = options.split == "valid" ? Split::valid : Split::test;
  Subject subject = options.model.empty() ? trained_model(options.load) : baseline(options);
  const Dataset& data = subject.run.data;
  Config& config = subject.run.config;
  if (!options.cutoffs.empty())
    apply_option(config, "topk", fmt::format("[{}]", fmt::join(options.cutoffs, ",")));
  if (!options.mask.empty()) config.mask = options.mask;
  if (data.split(split).entries() == 0 && options.load.own_data) return std::nullopt;
  if (data.split(split).entries() == 0)
    throw FileError(data.path, "has no " + options.split + " interactions (" + options.split +
                                   ".txt is missing or empty); there is nothing to evaluate");
  if (!options.cold.empty()) {
    evaluate_cold(options, subject, split);
    return std::nullopt;
  }
  const Subject there = options.beside.empty() ? Subject() : trained_there(options);
  print_notices(subject.run);
  if (!options.candidates.asked()) return evaluate_all_items(options, subject, there, split);
  evaluate_candidates(options, subject, split);
  return std::nullopt;
}

// The datasets of a run that was trained on several, where none is named; else empty.
std::vector<std::string> trained_together(const Options& options) {
  const RunFolder folder(options.load.run);
  if (!options.model.empty() || !options.load.data.empty() || !is_there(folder.facts_file()))
    return {};
  std::vector<std::string> datasets = folder.read_facts().datasets;
  if (datasets.size() < 2) datasets.clear();
  return datasets;
}

// A run that was trained on several datasets, on each of them, and the mean over them.
void evaluate_on_each(const Options& options, const std::vector<std::string>& datasets) {
  if (!options.per_user_file.empty() || options.candidates.asked() || !options.cold.empty())
    throw std::invalid_argument(
        options.load.run +
        ": was trained on several datasets together; for --per-user, --cold "
        "and candidates name one of them with --data");
  for (const std::string& path : datasets)
    if (!is_there(path))
      throw FileError(path, "a dataset that " + options.load.run +
                                " was trained on is not there; name another with --data");
  std::vector<Outcome> outcomes;
  for (const std::string& path : datasets) {
    Options of_one = options;
    of_one.load.data = path;
    of_one.load.own_data = true;
    if (!outcomes.empty() && prints_tables(options)) fmt::print("\n");
    std::optional<Outcome> outcome = evaluate_on_one(of_one);
    if (outcome)
      outcomes.push_back(std::move(*outcome));
    else
      fmt::print(stderr, "{}: has no {} interactions and is left out\n", path, options.split);
  }
  if (outcomes.empty())
    throw FileError(options.load.run, "was trained on datasets without " + options.split +
                                          " interactions; there is nothing to evaluate");
  std::vector<ReportRow> means;
  for (size_t r = 0; r < outcomes[0].rows.size(); ++r) {
    GroupSum sum(outcomes[0].cutoffs.size());
    for (const Outcome& outcome : outcomes) sum.add(outcome.rows[r].mean);
    // "forced" may stand at some of them.
    const auto longest =
        std::max_element(outcomes.begin(), outcomes.end(), [r](const Outcome& a, const Outcome& b) {
          return a.rows[r].name.size() < b.rows[r].name.size();
        });
    means.push_back({longest->rows[r].name, sum.mean().at});
  }
  if (prints_tables(options))
    fmt::print("\nmean over {} datasets\n{}\n", outcomes.size(),
               metrics_table(outcomes[0].cutoffs, means));
  if (options.json_file.empty()) return;
  Json json;
  for (Outcome& outcome : outcomes) json["datasets"][outcome.data] = std::move(outcome.json);
  json["mean over datasets"] = to_json(named_means(outcomes[0].cutoffs, means[0].mean));
  write_json(options.json_file, json);
}

int run_evaluate(const Options& options) {
  refuse_same_output({{"--json", options.json_file},
                      {"--per-user", options.per_user_file},
                      {"--save-candidates", options.candidates.save_file}});
  refuse_stray_candidate_options(options.candidates);
  const std::vector<std::string> datasets = trained_together(options);
  if (!datasets.empty()) {
    evaluate_on_each(options, datasets);
  } else if (const std::optional<Outcome> outcome = evaluate_on_one(options)) {
    if (!options.json_file.empty()) write_json(options.json_file, outcome->json);
  }
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Metrics of a run, or of a baseline on a dataset");
  add_run_options(*command, options->load);
  command->get_option("RUN")->description(
      "run folder, checkpoint or folder of .npy weights; with --model a dataset");
  command->add_option("--model", options->model, "a baseline that needs no training")
      ->check(CLI::IsMember({"popularity", "pop-random", "random", "emb-knn"}))
      ->excludes(command->get_option("--set"))
      ->excludes(command->get_option("--force"));
  command
      ->add_option("--beside", options->beside,
                   "with --data: a run trained on that dataset, in the same table")
      ->needs(command->get_option("--data"))
      ->excludes(command->get_option("--model"));
  command->add_option("--split", options->split)
      ->check(CLI::IsMember({"test", "valid"}))
      ->capture_default_str();
  command->add_option("--topk", options->cutoffs, "cut-offs, as 5,10,20")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->allow_extra_args(false);
  command
      ->add_option("--mask", options->mask,
                   "others: every split but the evaluated one; train: train alone")
      ->check(CLI::IsMember({"others", "train"}));
  command->add_option("--json", options->json_file,
                      "write the metrics here; - is standard output, without the tables");
  command->add_option("--per-user", options->per_user_file,
                      "write every user's metrics here (TSV); - as above");
  command->add_flag("--groups", options->groups,
                    "also for users by history length, and for items by popularity");
  command
      ->add_option(
          "--cold", options->cold,
          "those training knows nothing of apart from the others: items, or users, who are "
          "served from their valid items")
      ->check(CLI::IsMember({"items", "users"}))
      ->excludes(command->get_option("--model"))
      ->excludes(command->get_option("--groups"))
      ->excludes(command->get_option("--per-user"))
      ->excludes(command->get_option("--beside"));
  command->add_option("--seed", options->seed, "of random, pop-random and sampled negatives")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  add_candidate_options(*command, options->candidates);
  return [options] { return run_evaluate(*options); };
}

}  // namespace rec
