#include "engine/evaluator.h"

#include <algorithm>

#include "kernels/common/check.h"

namespace rec {
namespace {

constexpr int64_t kListBytes = int64_t{64} << 20;  // of lists held at once, on the host

std::vector<int32_t> users_with_items(CsrView truth) {
  std::vector<int32_t> users;
  for (int64_t u = 0; u < truth.rows; ++u)
    if (truth.degree(u) > 0) users.push_back(static_cast<int32_t>(u));
  return users;
}

// The items of each group, ascending as they come.
std::vector<std::vector<int32_t>> parted(VectorView<const int32_t> items,
                                         const std::vector<int32_t>& group_of_item, size_t groups) {
  std::vector<std::vector<int32_t>> parts(groups);
  for (int32_t item : items) parts[size_t(group_of_item[size_t(item)])].push_back(item);
  return parts;
}

}  // namespace

std::vector<MetricValues> metrics_at(const std::vector<int64_t>& cutoffs,
                                     VectorView<const int32_t> list,
                                     VectorView<const int32_t> relevant) {
  std::vector<MetricValues> at;
  for (int64_t k : cutoffs) at.push_back(user_metrics(list, relevant, k));
  return at;
}

void GroupSum::add(const std::vector<MetricValues>& at) {
  ++sum_.users;
  for (size_t c = 0; c < at.size(); ++c)
    for (size_t m = 0; m < kAllMetrics.size(); ++m) sum_.at[c][m] += at[c][m];
}

GroupMean GroupSum::mean() const {
  GroupMean mean = sum_;
  for (MetricValues& values : mean.at)
    for (double& v : values) v = mean.users > 0 ? v / double(mean.users) : 0.0;
  return mean;
}

double Evaluation::value(Metric metric, int64_t k) const {
  const auto at = std::find(cutoffs.begin(), cutoffs.end(), k);
  require(at != cutoffs.end(), "evaluation: the cut-off asked for was not evaluated");
  return mean[size_t(at - cutoffs.begin())][size_t(metric)];
}

ListsAtOnce lists_at_once(CsrView truth, const std::vector<int64_t>& cutoffs) {
  // A list longer than there are items would only be padding.
  const int64_t k =
      std::min(*std::max_element(cutoffs.begin(), cutoffs.end()), std::max<int64_t>(1, truth.cols));
  const int64_t most = kListBytes / (k * int64_t{sizeof(int32_t) + sizeof(float)});
  return {std::min(std::max<int64_t>(1, most), int64_t(users_with_items(truth).size())), k};
}

Evaluation evaluate(Ranker& ranker, CsrView truth, const std::vector<CsrView>& masks,
                    std::vector<int64_t> cutoffs, const std::vector<int32_t>& group_of_item) {
  require(!cutoffs.empty(), "evaluation: at least one cut-off is needed");
  require(group_of_item.empty() || int64_t(group_of_item.size()) == truth.cols,
          "evaluation: every item needs its group");
  require(*std::min_element(cutoffs.begin(), cutoffs.end()) > 0,
          "evaluation: cut-offs must be greater than 0");
  const std::vector<int32_t> users = users_with_items(truth);

  Evaluation result;
  result.cutoffs = std::move(cutoffs);
  result.users = static_cast<int64_t>(users.size());
  const ListsAtOnce at_once = lists_at_once(truth, result.cutoffs);
  result.per_user.reserve(users.size());
  const size_t groups =
      group_of_item.empty()
          ? 0
          : size_t(*std::max_element(group_of_item.begin(), group_of_item.end())) + 1;
  std::vector<GroupSum> by_group(groups, GroupSum(result.cutoffs.size()));
  for (size_t first = 0; first < users.size(); first += size_t(at_once.lists)) {
    const size_t end = std::min(first + size_t(at_once.lists), users.size());
    const std::vector<int32_t> some(users.begin() + ptrdiff_t(first),
                                    users.begin() + ptrdiff_t(end));
    const TopLists lists = ranker.rank(some, masks, {}, at_once.k);
    for (size_t row = 0; row < some.size(); ++row) {
      const int32_t user = some[row];
      const VectorView<const int32_t> relevant{truth.row(user), truth.degree(user)};
      const VectorView<const int32_t> list = lists.items_of(static_cast<int64_t>(row));
      result.per_user.push_back({user, metrics_at(result.cutoffs, list, relevant)});
      if (by_group.empty()) continue;
      const auto parts = parted(relevant, group_of_item, by_group.size());
      for (size_t g = 0; g < parts.size(); ++g)
        if (!parts[g].empty())
          by_group[g].add(metrics_at(result.cutoffs, list,
                                     {parts[g].data(), static_cast<int64_t>(parts[g].size())}));
    }
  }
  for (const GroupSum& sum : by_group) result.by_item_group.push_back(sum.mean());
  result.mean = mean_over(result, [](int32_t) { return true; }).at;
  return result;
}

}  // namespace rec
