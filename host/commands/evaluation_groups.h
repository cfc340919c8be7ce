// Who is served well and who is not, by how much is known of them; and which items are found, by
// their popularity.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "host/dataset/dataset.h"

namespace rec {

struct Group {
  std::string name;  // "history 6 to below 9"
  GroupMean mean;
};

// Quarters of the evaluated users by their number of training items. Users with equal numbers stay
// together, so quarters may differ in size, and there may be fewer than four.
std::vector<Group> user_groups(const Dataset& data, const Evaluation& evaluation);

// Quarters of the items with training interactions by their number, in the same way, after the
// cold ones where there are any.
struct ItemGroups {
  std::vector<std::string> name;
  std::vector<int32_t> group_of_item;
};
ItemGroups group_items(const Dataset& data);
// Of an evaluation with these groups: those that any user looks for.
std::vector<Group> item_groups(const ItemGroups& groups, const Evaluation& evaluation);

}  // namespace rec
