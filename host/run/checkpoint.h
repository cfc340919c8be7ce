// A checkpoint: weights, and with them, in last.safetensors, everything training needs to go on
// exactly as if it had never stopped. The bytes depend on
// the training alone, never on time or place.
#pragma once
#include <cstdint>
#include <string>

#include "engine/model.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/formats/safetensors.h"
#include "host/run/selection.h"

namespace rec {

// What a checkpoint says of itself beside its tensors.
struct CheckpointFacts {
  std::string config;   // resolved settings, TOML
  std::string dataset;  // fingerprint of what it was trained on
  LanguageModel language_model;
  int64_t language_width = 0;
  TrainingClock clock;
  Selection selection;
};

// with_moments: Adam's moments too, as resuming needs.
SafetensorsFile make_checkpoint(Model& model, const CheckpointFacts& facts, bool with_moments);
CheckpointFacts read_facts(const SafetensorsFile& file, const std::string& path);

// Refuses a dataset whose language vectors have another width than those the model at `path` was
// trained on.
void require_same_width(const Dataset& data, int64_t trained_width, const std::string& path);
// Where the dataset's vectors come from another language model than those the model at `path` was
// trained on: a sentence that names both. "" where they do not, or where one of the two is unknown.
std::string language_difference(const Dataset& data, const LanguageModel& trained_on,
                                const std::string& path);
// Refuses both.
void require_same_language(const Dataset& data, const LanguageModel& trained_on,
                           int64_t trained_width, const std::string& path);

// Copies the tensors into the model; refuses missing ones and other shapes, naming both.
void restore_weights(Model& model, const SafetensorsFile& file, const std::string& path);
void restore_moments(Model& model, const SafetensorsFile& file, const std::string& path);

}  // namespace rec
