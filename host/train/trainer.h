// Trains a model on a dataset, or on several together, into a run folder: epochs, evaluation on
// validation, early stopping, best and last checkpoint, interruption and resumption.
#pragma once
#include <cstdint>
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
};

enum class TrainEnd { finished, interrupted };

// given: settings as read, not yet resolved (host/config). Prints what it does to standard output.
// Refusals come before any file of the run folder is touched.
TrainEnd train(const JointDataset& data, const Config& given, const RunFolder& run,
               const TrainRequest& request);

// After this SIGINT, SIGTERM and SIGHUP ask training to finish its step, save and return; a second
// one ends the process at once. Output whose reader is gone (SIGPIPE) is given up.
void catch_interrupts();

}  // namespace rec
