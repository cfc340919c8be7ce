#include "host/commands/evaluation_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace rec {
namespace {

// The smallest count of each quarter, without repeats.
std::vector<int64_t> quarter_starts(std::vector<int64_t> counts) {
  std::sort(counts.begin(), counts.end());
  std::vector<int64_t> starts;
  for (size_t q = 0; q < 4 && !counts.empty(); ++q) starts.push_back(counts[q * counts.size() / 4]);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  return starts;
}

// Which of the quarters a count falls into; it is not below the first.
size_t quarter_of(int64_t count, const std::vector<int64_t>& starts) {
  return size_t(std::upper_bound(starts.begin(), starts.end(), count) - starts.begin()) - 1;
}

std::string range_text(const std::vector<int64_t>& starts, size_t quarter) {
  return quarter + 1 == starts.size()
             ? fmt::format("{} and more", starts[quarter])
             : fmt::format("{} to below {}", starts[quarter], starts[quarter + 1]);
}

}  // namespace

std::vector<Group> user_groups(const Dataset& data, const Evaluation& evaluation) {
  const CsrView train = data.train.view();
  std::vector<int64_t> counts;
  for (const UserResult& result : evaluation.per_user) counts.push_back(train.degree(result.user));
  const std::vector<int64_t> starts = quarter_starts(std::move(counts));
  std::vector<Group> groups;
  for (size_t q = 0; q < starts.size(); ++q)
    groups.push_back({"history " + range_text(starts, q), mean_over(evaluation, [&](int32_t user) {
                        return quarter_of(train.degree(user), starts) == q;
                      })});
  return groups;
}

ItemGroups group_items(const Dataset& data) {
  std::vector<int64_t> count(size_t(data.items), 0), warm;
  for (int32_t item : data.train.col) ++count[size_t(item)];
  std::copy_if(count.begin(), count.end(), std::back_inserter(warm),
               [](int64_t c) { return c > 0; });
  const size_t cold = warm.size() < count.size() ? 1 : 0;
  const std::vector<int64_t> starts = quarter_starts(std::move(warm));
  ItemGroups groups;
  if (cold == 1) groups.name.push_back("cold items, no training interaction");
  for (size_t q = 0; q < starts.size(); ++q)
    groups.name.push_back("items with " + range_text(starts, q) + " training interactions");
  for (int64_t c : count)
    groups.group_of_item.push_back(c == 0 ? 0 : int32_t(cold + quarter_of(c, starts)));
  return groups;
}

std::vector<Group> item_groups(const ItemGroups& groups, const Evaluation& evaluation) {
  std::vector<Group> found;
  for (size_t g = 0; g < evaluation.by_item_group.size(); ++g)
    if (evaluation.by_item_group[g].users > 0)
      found.push_back({groups.name[g], evaluation.by_item_group[g]});
  return found;
}

}  // namespace rec
