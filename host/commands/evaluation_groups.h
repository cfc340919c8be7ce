// Who is served well and who is not: an evaluation's users by how much is known of them, and by how
// popular what they look for is.
#pragma once
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "host/dataset/dataset.h"

namespace rec {

struct Group {
  std::string name;  // "history 6 to below 9"
  GroupMean mean;
};

// Quarters of the evaluated users by their number of training items, then quarters by the mean
// number of training interactions of their items in `split`. Users with equal counts stay together,
// so quarters may differ in size, and there may be fewer than four.
std::vector<Group> make_groups(const Dataset& data, Split split, const Evaluation& evaluation);

}  // namespace rec
