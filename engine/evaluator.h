// All-ranking evaluation of a ranker on one split.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/metrics.h"
#include "engine/ranker.h"
#include "kernels/common/views.h"

namespace rec {

// One per cut-off; list and relevant as for user_metrics.
std::vector<MetricValues> metrics_at(const std::vector<int64_t>& cutoffs,
                                     VectorView<const int32_t> list,
                                     VectorView<const int32_t> relevant);

struct UserResult {
  int32_t user = 0;
  std::vector<MetricValues> at;  // one per cut-off, in the order asked
};

// The mean over some of the users; no users: all zero.
struct GroupMean {
  int64_t users = 0;
  std::vector<MetricValues> at;  // one per cut-off
};

class GroupSum {
 public:
  explicit GroupSum(size_t cutoffs) : sum_{0, std::vector<MetricValues>(cutoffs)} {}
  void add(const std::vector<MetricValues>& at);  // one user's
  GroupMean mean() const;

 private:
  GroupMean sum_;
};

struct Evaluation {
  std::vector<int64_t> cutoffs;      // k, as asked
  std::vector<MetricValues> mean;    // one per cut-off: the mean over `users`
  int64_t users = 0;                 // users with at least one item in the split
  std::vector<UserResult> per_user;  // ascending by user
  // One per group of items: the same lists, the group's items alone counted as relevant, the mean
  // over the users who have any.
  std::vector<GroupMean> by_item_group;

  // Throws std::invalid_argument when k was not asked for.
  double value(Metric metric, int64_t k) const;
};

// truth (host): [users, items] of the evaluated split. masks (backend memory): the splits whose
// items are left out of every list. Every user with at least one item in truth counts once. Users
// are ranked a block at a time, so that lists take 64 MiB, or one user's, however many users there
// are.
//
// group_of_item [items]: 0 and up, or empty for no groups of items.
Evaluation evaluate(Ranker& ranker, CsrView truth, const std::vector<CsrView>& masks,
                    std::vector<int64_t> cutoffs, const std::vector<int32_t>& group_of_item = {});

// The lists that evaluate asks of a ranker at once, at most.
struct ListsAtOnce {
  int64_t lists = 0, k = 0;
};
ListsAtOnce lists_at_once(CsrView truth, const std::vector<int64_t>& cutoffs);

// The mean over those results whose user is kept, e.g. one group by history length.
template <class Keep>
GroupMean mean_over(const Evaluation& evaluation, Keep keep) {
  GroupSum sum(evaluation.cutoffs.size());
  for (const UserResult& result : evaluation.per_user)
    if (keep(result.user)) sum.add(result.at);
  return sum.mean();
}

}  // namespace rec
