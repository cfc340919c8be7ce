// A dataset of arrays that lie in memory.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "kernels/common/views.h"

namespace rec {

struct DatasetArrays {
  std::string name = "data";
  // [users, items]; a row in any order. valid and test may have fewer rows, or none.
  CsrView train, valid, test;
  std::shared_ptr<const float> language = nullptr;  // [items, language_width], or none
  int64_t language_items = 0, language_width = 0;
  LanguageModel language_model = {};
  // A text for each user or item, or none at all: see id_table.h.
  std::vector<std::string> user_ids = {}, item_ids = {}, item_titles = {};
};

// Refuses what load_dataset() refuses, in its sentences. Language vectors are not copied: the
// dataset shares them with the caller, who must leave them as they are. Everything else is.
//
// The fingerprint is that of the folder which write_dataset() makes of it. Of the options those that
// say what is kept count.
Dataset dataset_of(DatasetArrays arrays, const DatasetOptions& options = {});

}  // namespace rec
