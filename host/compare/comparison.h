// Several runs on one dataset side by side: every metric, runs that differ in their seed alone as
// one, and the differences between models user by user.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "host/compare/paired_tests.h"
#include "host/config/config.h"
#include "host/run/run_folder.h"

namespace rec {

struct ComparedRun {
  std::string name;         // what to call it: unlike every other's
  std::string path;         // as given
  std::string fingerprint;  // of the dataset it was trained on
  Config config;
  Evaluation evaluation;           // with the same users and cut-offs as the others'
  std::vector<MetricsLine> lines;  // of its training; empty where there is no run folder
};

// Runs that differ in their seed alone, or one run.
struct SeedGroup {
  std::string name;
  std::vector<size_t> runs;  // places in Comparison::runs
  // One per cut-off: over the runs, the mean and the standard deviation (n - 1; 0 of one run).
  std::vector<MetricValues> mean, deviation;
};

// A model's users' values less the first model's. A model with several seeds has the mean over them.
struct Difference {
  size_t of, from;  // places in Comparison::compared
  Metric metric;
  int64_t k;
  double mean;
  Interval interval;  // 95%, bootstrap
  double t_p, wilcoxon_p;
};

struct Comparison {
  std::vector<ComparedRun> runs;
  std::vector<SeedGroup> groups;    // in the order of their first runs
  std::vector<SeedGroup> compared;  // the groups, or where there is but one every run by itself
  std::vector<Difference> differences;

  bool has_seeds() const { return groups.size() < runs.size(); }
};

// seed: of the bootstrap. At least one run.
Comparison compare(std::vector<ComparedRun> runs, uint64_t seed);

// What to call runs by their paths: the folders' names, or the paths where two names are the same;
// and numbered where two paths are.
std::vector<std::string> names_of(const std::vector<std::string>& paths);

// What such runs' names have in common, without what is left of their seeds: "tau=0.2" of
// "tau=0.2,seed=101" and "tau=0.2,seed=102"; "" when that is nothing.
std::string common_name(const std::vector<std::string>& names);

}  // namespace rec
