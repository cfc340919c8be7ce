// A run folder that carries its dataset with it.
#pragma once
#include <string>
#include <vector>

#include "host/run/loaded_run.h"
#include "host/run/run_folder.h"

namespace rec {

// config.toml, run.json, best.safetensors, and the dataset in the subfolder data, which run.json
// names by a path that begins in the run folder: so the folder may be moved, and serves as the run
// that was loaded. metrics.jsonl where metrics are given. best.safetensors has the bytes of the best checkpoint it was loaded from.
//
// The folder appears whole or not at all, and only where require_free_folder() (unfinished_folder.h)
// lets it. Refused is a run on other data than it was trained on.
void save_run(const std::string& folder, const LoadedRun& run,
              const std::vector<MetricsLine>& metrics = {});

}  // namespace rec
