// A run folder: config.toml, run.json, metrics.jsonl,
// best.safetensors, last.safetensors, report.html.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/run/named_metrics.h"

namespace rec {

// One evaluation during training, a line of metrics.jsonl.
struct MetricsLine {
  int64_t epoch = 0;  // from 1
  double loss = 0;    // mean over the epoch's steps
  // Empty when not evaluated. Of several datasets: the mean over them, then each one's own, with its
  // name and / before the metric's.
  NamedMetrics valid, test;
  double seconds = 0;  // of training since the last line, evaluation included
};

// What run.json remembers beside the settings.
struct RunFacts {
  // Paths; several where they were trained together, none where they lay in memory. One in the file
  // that is relative begins in the run folder, so that a run may carry its dataset with it.
  std::vector<std::string> datasets;
  std::string fingerprint;  // of the data
  std::string language;     // which vectors of the authors' tree, or ""
  std::string device;
  std::string version, commit;
};

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string config_file() const { return path_ + "/config.toml"; }
  std::string facts_file() const { return path_ + "/run.json"; }
  std::string metrics_file() const { return path_ + "/metrics.jsonl"; }
  std::string best_file() const { return path_ + "/best.safetensors"; }
  std::string last_file() const { return path_ + "/last.safetensors"; }
  std::string report_file() const { return path_ + "/report.html"; }

  bool holds_a_run() const;
  // Removes what a killed process left half-written here: our files' temporary ones
  // (host/formats/atomic_file) whose process is gone.
  void remove_leftovers() const;
  void write_facts(const RunFacts& facts) const;
  RunFacts read_facts() const;
  void write_metrics(const std::vector<MetricsLine>& lines) const;
  std::vector<MetricsLine> read_metrics() const;  // empty when there is no file

 private:
  std::string path_;
};

}  // namespace rec
