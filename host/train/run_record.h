// What a training leaves in its run folder while it goes on (metrics lines, the best and the last
// checkpoint) and the way back from there.
#pragma once
#include <string>
#include <vector>

#include "engine/model.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/run/checkpoint.h"
#include "host/run/run_folder.h"

namespace rec {

// The config with the defaults for what may change between a training and its continuation: epochs,
// threads and topk.
Config without_what_may_change(Config config);

class RunRecord {
 public:
  // config: fitted to data (host/run/model_of_config.h). All must outlive the record.
  RunRecord(const RunFolder& run, const Dataset& data, const Config& config, Model& model,
            Training& training);

  // Fresh parameters and a clock at 0, both of the config's seed.
  void start();
  // Model, training, selection and metrics lines as last.safetensors left them. Throws FileError,
  // with no file touched, when it belongs to other data, other settings (epochs, threads and topk
  // may differ) or another shape.
  void resume();
  // From here on the folder is this run's: settings and facts are written, what an earlier run left
  // is removed. Where that has checkpoints it stands until this run's first one is written.
  void open(RunFacts facts);

  Selection& selection() { return facts_.selection; }
  const std::vector<MetricsLine>& lines() const { return lines_; }

  void add(MetricsLine line);
  void save_best(const TrainingClock& clock);
  void save_last(const TrainingClock& clock);
  // The best epoch's weights into the model.
  void restore_best();
  // What a training that fails leaves, as a sentence.
  std::string what_stands() const;

 private:
  // Removes the earlier run's files, but for the one that was just replaced.
  void take_over(const std::string& replaced);
  void save(const std::string& file, const TrainingClock& clock, bool with_moments);

  const RunFolder& run_;
  const Dataset& data_;
  const Config& config_;
  Model& model_;
  Training& training_;
  CheckpointFacts facts_;
  RunFacts run_facts_;
  bool earlier_run_stands_ = false;
  bool has_checkpoint_ = false;  // its own
  std::vector<MetricsLine> lines_;
};

}  // namespace rec
