// A dataset's parts, wherever they come from, held against each other and put together.
#pragma once
#include <string>

#include "host/dataset/dataset.h"
#include "host/formats/interactions.h"

namespace rec {

struct SplitParts {
  Interactions train, valid, test;
};

// What refusals call the parts: their files, or words.
struct PartNames {
  std::string data, train, valid, test, language, items, users;
};

// Makes data whole, which has everything but its splits: counts users and items, takes the splits,
// and hashes. Refuses what dataset.h says of parts that do not go together; of the options, those
// that say what is kept count.
void complete(Dataset& data, SplitParts splits, const PartNames& names,
              const DatasetOptions& options);

}  // namespace rec
