// Model selection and early stopping: where the search for the best epoch stands.
#pragma once
#include <cstdint>

namespace rec {

struct Selection {
  double best = -1;          // of the monitor; -1 before the first evaluation
  int64_t best_epoch = 0;    // epochs counted from 1
  int64_t without_gain = 0;  // evaluations since

  // An evaluation after this epoch: true when it is the best so far.
  // Equal is no gain, and so is NaN.
  bool take(double value, int64_t epoch) {
    const bool better = value > best;
    without_gain = better ? 0 : without_gain + 1;
    if (better) {
      best = value;
      best_epoch = epoch;
    }
    return better;
  }
  bool exhausted(int64_t patience) const { return without_gain >= patience; }
};

}  // namespace rec
