#include "host/commands/comparing.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/ranker.h"
#include "host/commands/evaluation_groups.h"
#include "host/commands/output_file.h"
#include "host/commands/shared_options.h"
#include "host/compare/comparison_report.h"
#include "host/formats/file_error.h"
#include "host/progress/progress.h"
#include "host/report/text_table.h"
#include "host/run/loaded_run.h"
#include "host/run/run_folder.h"
#include "host/run/split_evaluator.h"

namespace rec {
namespace {

// What every run must share with the first.
struct Ground {
  std::string path;  // the first run's
  Dataset data;
  std::string mask, masked_text;
  std::vector<int64_t> cutoffs;
  ItemGroups item_groups;
};

bool same_splits(const Dataset& a, const Dataset& b) {
  const auto same = [](const HostCsr& x, const HostCsr& y) {
    return x.cols == y.cols && x.row_start == y.row_start && x.col == y.col;
  };
  return same(a.train, b.train) && same(a.valid, b.valid) && same(a.test, b.test);
}

class RunComparer {
 public:
  explicit RunComparer(const CompareOptions& options)
      : options_(options), split_(options.split == "valid" ? Split::valid : Split::test) {}

  // Evaluates the run as the ones before it.
  void add(const std::string& path, const std::string& name) {
    LoadRequest request;
    request.run = path;
    request.data = options_.data;
    request.language = options_.language;
    request.device = options_.device;
    request.threads = options_.threads;
    LoadedRun run = load_run(request);
    if (as_release(run.config))
      throw FileError(path,
                      "was trained with compat alpharec-release, its best epoch chosen on test; it "
                      "does not belong in a table with others");
    print_notices(run);
    if (!options_.mask.empty()) run.config.mask = options_.mask;
    if (!ground_) set_ground(path, run);
    refuse_other_ground(path, run);
    const SplitEvaluator evaluator(*run.backend, run.data, run.config.mask);
    ground_->masked_text = masked_text(split_, run.config.mask);
    VectorRanker ranker(*run.backend, run.model->representations().user(),
                        run.model->representations().item());
    ComparedRun compared;
    compared.name = name;
    compared.path = path;
    compared.fingerprint = run.data.fingerprint;
    compared.config = run.config;
    compared.evaluation =
        evaluator.evaluate(ranker, split_, ground_->cutoffs, ground_->item_groups.group_of_item);
    compared.lines = RunFolder(path).read_metrics();
    runs_.push_back(std::move(compared));
    if (ground_->data.users == 0) ground_->data = std::move(run.data);
  }

  ComparisonReport report() {
    ComparisonReport report;
    report.title = fmt::format("{}: {} split, {} users, all {} items ranked, masked: {}",
                               ground_->data.name, options_.split, runs_[0].evaluation.users,
                               ground_->data.items, ground_->masked_text);
    if (options_.groups) report.groups = compared_groups();
    report.comparison = compare(std::move(runs_), options_.seed);
    return report;
  }

 private:
  void set_ground(const std::string& path, const LoadedRun& run) {
    if (run.data.split(split_).entries() == 0)
      throw FileError(run.data.path,
                      "has no " + options_.split + " interactions (" + options_.split +
                          ".txt is missing or empty); runs cannot be compared on it");
    ground_.emplace();
    ground_->path = path;
    ground_->mask = run.config.mask;
    ground_->cutoffs = options_.cutoffs.empty() ? run.config.topk : options_.cutoffs;
    if (options_.groups) ground_->item_groups = group_items(run.data);
  }

  void refuse_other_ground(const std::string& path, const LoadedRun& run) const {
    if (!runs_.empty() && !same_splits(run.data, ground_->data))
      throw FileError(path, "was trained on other interactions than " + ground_->path +
                                "; only runs on the same splits can be compared (or on one named "
                                "with --data)");
    if (run.config.mask != ground_->mask)
      throw FileError(path, "masks " + run.config.mask + ", but " + ground_->path + " masks " +
                                ground_->mask + "; choose one with --mask");
  }

  std::vector<ComparedGroup> compared_groups() const {
    std::vector<ComparedGroup> groups;
    for (const ComparedRun& run : runs_) {
      std::vector<Group> of_run = user_groups(ground_->data, run.evaluation);
      for (Group& group : item_groups(ground_->item_groups, run.evaluation))
        of_run.push_back(std::move(group));
      groups.resize(of_run.size());
      for (size_t g = 0; g < of_run.size(); ++g) {
        groups[g].name = of_run[g].name;
        groups[g].of_run.push_back(of_run[g].mean);
      }
    }
    return groups;
  }

  const CompareOptions& options_;
  Split split_;
  std::optional<Ground> ground_;
  std::vector<ComparedRun> runs_;
};

}  // namespace

void add_compare_options(CLI::App& command, CompareOptions& options) {
  command.add_option("--split", options.split)
      ->check(CLI::IsMember({"test", "valid"}))
      ->capture_default_str();
  command.add_option("--topk", options.cutoffs, "cut-offs, as 5,10,20")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->allow_extra_args(false);
  command.add_flag("--groups", options.groups,
                   "also for users by history length, and for items by popularity");
  command.add_option("--json", options.json_file,
                     "write everything here; - is standard output, without the tables");
  command.add_option("--html", options.html_file,
                     "write a page here: the tables, and the curves over one another");
}

void compare_runs(const std::vector<std::string>& paths, const CompareOptions& options) {
  refuse_same_output({{"--json", options.json_file}, {"--html", options.html_file}});
  RunComparer comparer(options);
  const std::vector<std::string> names = names_of(paths);
  Progress progress(int64_t(paths.size()), /*quiet=*/false);
  for (size_t r = 0; r < paths.size(); ++r) {
    progress.update(int64_t(r), "evaluating " + names[r]);
    comparer.add(paths[r], names[r]);
  }
  progress.clear();
  const ComparisonReport report = comparer.report();
  if (!is_standard_output(options.json_file))
    fmt::print("{}", comparison_text(report, on_a_terminal()));
  if (!options.json_file.empty()) {
    nlohmann::ordered_json json = {{"title", report.title}, {"split", options.split}};
    json.update(comparison_json(report));
    write_output(options.json_file,
                 json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  if (!options.html_file.empty()) write_output(options.html_file, comparison_html(report));
}

}  // namespace rec
