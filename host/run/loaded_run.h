// A trained model brought back together with a dataset, ready to rank: from a run folder, a
// checkpoint file, or a folder of .npy weights (w1, b1, w2, ...).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/model.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/run/checkpoint.h"

namespace rec {

struct LoadRequest {
  std::string run;        // run folder, .safetensors file, or folder of .npy weights
  std::string data;       // dataset; "" for the one the run was trained on
  bool own_data = false;  // data is one of those that the run says it was trained on
  std::string language;   // of the authors' tree; "" for the run's own
  std::string device = "auto";
  int threads = 0;
  std::vector<std::string> settings;   // key=value, for a folder of .npy weights
  std::string new_items, new_vectors;  // items after the dataset's (host/dataset); "" for none
  bool force = false;                  // go on where the dataset's language model is another one
};

// What the weights were trained on, beside the dataset they are applied to.
enum class TrainedOn { this_dataset, other_data, unknown };

struct LoadedRun {
  std::unique_ptr<Backend> backend;
  // What a person should know, a line each: of data changed since, of another language model, of
  // another precision.
  std::vector<std::string> notices;
  Dataset data;
  Config config;
  TrainedOn trained_on = TrainedOn::unknown;
  std::string path;              // the request's run
  CheckpointFacts checkpoint;    // what the weights' file says of itself
  std::string forced;            // what would have been refused but for force; "" for nothing
  std::unique_ptr<Model> model;  // weights restored, embed() done
};

// Computes in fp32, whatever the run was trained in: its weights are that, and every backend has
// it.
// Refuses a dataset whose language vectors have another width than what the model was trained on,
// and, unless forced, one whose vectors come from another language model. A model with rows of its
// own for users and items is refused every dataset but the one it was trained on.
LoadedRun load_run(const LoadRequest& request);
// The same on data that is at hand, as if it had been named: the request names none, nor new items.
// Where the run is of compat alpharec-release, data must count repeats (Repeats::each).
LoadedRun load_run(const LoadRequest& request, Dataset data);

// Refuses a run of a model without language vectors; what: what needs them.
void require_language_model(const LoadedRun& run, const std::string& what);

}  // namespace rec
