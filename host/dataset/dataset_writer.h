// A dataset folder made whole.
#pragma once
#include <string>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

struct ExtraFile {
  std::string name, text;
};

// Refuses a folder that is there already, unless it is empty.
void require_free_folder(const std::string& folder);

// A dataset folder of data: its splits, language vectors (float32), what made them, tables and
// config.toml; and the extra files. It appears whole or not at all, and only where
// require_free_folder() lets it.
void write_dataset(const std::string& folder, const Dataset& data,
                   const std::vector<ExtraFile>& extra = {});

}  // namespace rec
