// Ranked lists as one array for NumPy, [lists, k] of the fields item (int32, its row in items.tsv; -1
// behind the end of a shorter list) and score (float32).
#pragma once
#include <cstdint>
#include <string>

#include "engine/ranker.h"
#include "host/formats/npy.h"

namespace rec {

class ListArray {
 public:
  // All together `lists` rows of k are added.
  ListArray(const std::string& file, int64_t lists, int64_t k);
  void add(const TopLists& lists);
  void finish() { file_.commit(); }

 private:
  NpyStream file_;
};

}  // namespace rec
