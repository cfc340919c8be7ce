// Ranked lists as one array for NumPy, [lists, k], best first, of the fields item (int32, its row in
// items.tsv) and score (float32). Behind the end of a shorter list stand -1 and -infinity.
#pragma once
#include <cstdint>
#include <string>

#include "engine/ranker.h"
#include "host/formats/npy.h"

namespace rec {

class ListArray {
 public:
  // All together `lists` rows of k are added. These throw FileError where the file cannot be
  // written.
  ListArray(const std::string& file, int64_t lists, int64_t k);
  void add(const TopLists& lists);
  void finish() { file_.commit(); }

 private:
  NpyStream file_;
};

}  // namespace rec
