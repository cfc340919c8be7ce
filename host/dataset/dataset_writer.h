// A dataset folder made whole.
#pragma once
#include <string>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

struct ExtraFile {
  std::string name, text;
};

// A dataset folder of data: its splits, language vectors (float32), what made them, tables and
// config.toml; and the extra files. It appears whole or not at all, and only where
// require_free_folder() (unfinished_folder.h) lets it.
void write_dataset(const std::string& folder, const Dataset& data,
                   const std::vector<ExtraFile>& extra = {});

// A split as train.txt has it, "user item item ..." a line. empty_too: also users without items.
void write_split(const std::string& path, CsrView split, bool empty_too);

}  // namespace rec
