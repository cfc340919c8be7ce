#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/baselines.h"
#include "host/commands/commands.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/report/report.h"
#include "host/run/loaded_run.h"
#include "host/run/model_of_config.h"
#include "host/run/split_evaluator.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kPopPool =
    200;  // the paper's Pop draws among this many of the most popular items

struct Options {
  std::string run_or_data;
  std::string model;  // a baseline; "" for the run's own model
  LoadRequest load;
  std::string split = "test", mask;
  std::vector<int64_t> cutoffs;
  std::string json_file, per_user_file;
  bool groups = false;
  uint64_t seed = 101;
};

// What is evaluated: a run's model, or a baseline on a dataset.
struct Subject {
  LoadedRun run;
  std::unique_ptr<Ranker> ranker;
  std::string name;
};

Subject make_subject(const Options& options) {
  Subject subject;
  LoadRequest load = options.load;
  if (options.model.empty()) {
    load.run = options.run_or_data;
    subject.run = load_run(load);
    subject.name = subject.run.config.model;
    const Representations& r = subject.run.model->representations();
    subject.ranker = std::make_unique<VectorRanker>(*subject.run.backend, r.user(), r.item());
    return subject;
  }
  subject.name = options.model;
  subject.run.data =
      load_dataset(load.data.empty() ? options.run_or_data : load.data, {load.language});
  const Dataset& data = subject.run.data;
  MadeBackend made = make_backend(load.device, load.threads);
  subject.run.backend = std::move(made.backend);
  Backend& backend = *subject.run.backend;
  if (options.model == "popularity") {
    subject.ranker = make_popularity(backend, data.train.view());
  } else if (options.model == "emb-knn") {
    require_language(data, "emb-knn");
    subject.ranker = make_embedding_knn(backend, data.language.view(), data.train.view());
  } else {
    const int64_t pool = options.model == "pop-random" ? kPopPool : 0;
    subject.ranker = make_random(backend, data.train.view(), pool, options.seed);
  }
  return subject;
}

struct Group {
  std::string name;
  GroupMean mean;
};

// Users in quarters by a count of theirs: equal numbers of users, ties kept together.
std::vector<Group> quarters(const Evaluation& evaluation, const std::string& what,
                            const std::vector<double>& count_of_user) {
  std::vector<double> counts;
  for (const UserResult& result : evaluation.per_user)
    counts.push_back(count_of_user[size_t(result.user)]);
  if (counts.empty()) return {};
  std::sort(counts.begin(), counts.end());
  std::vector<double> edges = {counts.front()};
  for (size_t q = 1; q < 4; ++q) edges.push_back(counts[q * counts.size() / 4]);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  std::vector<Group> groups;
  for (size_t g = 0; g < edges.size(); ++g) {
    const bool last = g + 1 == edges.size();
    const double low = edges[g], high = last ? counts.back() : edges[g + 1];
    groups.push_back({fmt::format("{} {:g} to {}{:g}", what, low, last ? "" : "below ", high),
                      mean_over(evaluation, [&](int32_t user) {
                        const double count = count_of_user[size_t(user)];
                        return count >= low && (last || count < high);
                      })});
  }
  return groups;
}

std::vector<Group> make_groups(const Dataset& data, const Evaluation& evaluation,
                               const HostCsr& truth) {
  std::vector<double> history(size_t(data.users)), popularity(size_t(data.users)),
      count(size_t(data.items));
  for (int32_t item : data.train.col) ++count[size_t(item)];
  for (int64_t u = 0; u < data.users; ++u) {
    history[size_t(u)] = double(data.train.view().degree(u));
    const int64_t relevant = truth.view().degree(u);
    for (int64_t e = 0; e < relevant; ++e)
      popularity[size_t(u)] += count[size_t(truth.view().row(u)[e])] / double(relevant);
  }
  std::vector<Group> groups = quarters(evaluation, "history", history);
  for (Group& group : quarters(evaluation, "relevant items' mean popularity", popularity))
    groups.push_back(std::move(group));
  return groups;
}

void write_per_user(const std::string& file, const Dataset& data, const Evaluation& evaluation) {
  std::string text = "user";
  for (const auto& [key, value] : named_means(evaluation)) text += "\t" + key;
  for (const UserResult& result : evaluation.per_user) {
    text += "\n" + data.user_name(result.user);
    for (const MetricValues& values : result.at)
      for (double value : values) text += fmt::format("\t{}", value);
  }
  write_whole_file(file, text + "\n");
}

int run_evaluate(const Options& options) {
  const Split split = options.split == "valid" ? Split::valid : Split::test;
  Subject subject = make_subject(options);
  if (!subject.run.notice.empty()) fmt::print(stderr, "{}\n", subject.run.notice);
  const Dataset& data = subject.run.data;
  if (data.split(split).entries() == 0)
    throw FileError(data.path + "/" + options.split + ".txt",
                    "is missing or empty; there is nothing to evaluate");
  const std::string mask = options.mask.empty() ? subject.run.config.mask : options.mask;
  const SplitEvaluator evaluator(*subject.run.backend, data, mask);
  std::vector<int64_t> cutoffs =
      options.cutoffs.empty() ? subject.run.config.topk : options.cutoffs;
  const Evaluation evaluation = evaluator.evaluate(*subject.ranker, split, cutoffs);
  const std::vector<Group> groups =
      options.groups ? make_groups(data, evaluation, data.split(split)) : std::vector<Group>();

  fmt::print("{}: {} split, {} users, all {} items ranked, masked: {}\n{}\n", data.name,
             options.split, evaluation.users, data.items, evaluator.masked_text(split),
             metrics_table({{subject.name, evaluation}}));
  for (const Group& group : groups) {
    Evaluation part;
    part.cutoffs = evaluation.cutoffs;
    part.mean = group.mean.at;
    fmt::print("\n{}: {} users\n{}\n", group.name, group.mean.users,
               metrics_table({{subject.name, part}}));
  }
  if (!options.json_file.empty()) {
    Json json = {{"model", subject.name},
                 {"dataset", data.name},
                 {"split", options.split},
                 {"users", evaluation.users},
                 {"masked", evaluator.masked_text(split)},
                 {"metrics", Json::object()}};
    for (const auto& [key, value] : named_means(evaluation)) json["metrics"][key] = value;
    for (const Group& group : groups) {
      Json entry = {
          {"group", group.name}, {"users", group.mean.users}, {"metrics", Json::object()}};
      for (size_t c = 0; c < evaluation.cutoffs.size(); ++c)
        for (Metric metric : kAllMetrics)
          entry["metrics"][metric_key(metric, evaluation.cutoffs[c])] =
              group.mean.at[c][size_t(metric)];
      json["groups"].push_back(std::move(entry));
    }
    write_whole_file(options.json_file,
                     json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  if (!options.per_user_file.empty()) write_per_user(options.per_user_file, data, evaluation);
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("evaluate", "All-ranking metrics of a run, or of a baseline on a dataset");
  command
      ->add_option("RUN", options->run_or_data,
                   "run folder, checkpoint or folder of .npy weights; with --model a dataset")
      ->required();
  command->add_option("--model", options->model, "a baseline that needs no training")
      ->check(CLI::IsMember({"popularity", "pop-random", "random", "emb-knn"}));
  command->add_option("--data", options->load.data,
                      "evaluate on this dataset instead of the run's own");
  command->add_option("--language", options->load.language,
                      "which item_cf_embeds_NAME of the authors' tree");
  command->add_option("--split", options->split)
      ->check(CLI::IsMember({"test", "valid"}))
      ->capture_default_str();
  command->add_option("--topk", options->cutoffs, "cut-offs, as 5,10,20")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  command
      ->add_option("--mask", options->mask,
                   "others: every split but the evaluated one; train: train alone")
      ->check(CLI::IsMember({"others", "train"}));
  command->add_option("--json", options->json_file, "write the metrics here");
  command->add_option("--per-user", options->per_user_file,
                      "write every user's metrics here (TSV)");
  command->add_flag("--groups", options->groups, "also by history length and by item popularity");
  command->add_option("--seed", options->seed, "of random and pop-random")->capture_default_str();
  command->add_option("--set", options->load.settings,
                      "key=value for a folder of .npy weights, as layers=2");
  command->add_option("--device", options->load.device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->load.threads, "0: all processors")
      ->check(CLI::Range(0, 4096));
  return [options] { return run_evaluate(*options); };
}

}  // namespace rec
