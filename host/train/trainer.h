// Trains a model on a dataset, or on several together, into a run folder: epochs, evaluation on
// validation, early stopping, best and last checkpoint, interruption and resumption.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "host/config/config.h"
#include "host/dataset/joint_dataset.h"
#include "host/run/run_folder.h"

namespace rec {

struct TrainRequest {
  std::string device = "auto";
  std::string language;  // of the authors' tree
  bool resume = false;
  bool overwrite = false;
  bool track_test = false;  // evaluate test beside validation; never used for selection
  bool force = false;       // go on where items.tsv has other texts than the vectors were made of
  bool quiet = false;
  // After every evaluation, when its checkpoints are written: false ends the training as early
  // stopping does. What it throws ends the training too, and goes on to the caller of train().
  std::function<bool(const MetricsLine&)> on_epoch = nullptr;
  // Asked after every step: true is an interruption.
  std::function<bool()> should_stop = nullptr;
};

enum class TrainEnd { finished, interrupted };

// given: settings as read, not yet resolved (host/config). Prints what it does to standard output,
// and its progress to standard error, unless the request is to be quiet. Refusals come before any
// file of the run folder is touched. Interrupted means that all is saved for resume.
//
// May be called from any thread, and again; signals are left to catch_interrupts(), or the caller.
TrainEnd train(const JointDataset& data, const Config& given, const RunFolder& run,
               const TrainRequest& request);

// After this SIGINT, SIGTERM and SIGHUP ask training to finish its step, save and return; a second
// one ends the process at once. An earlier one is forgotten. Output whose reader is gone (SIGPIPE) is given up.
void catch_interrupts();

}  // namespace rec
