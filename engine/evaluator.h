// All-ranking evaluation of a ranker on one split.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/metrics.h"
#include "engine/ranker.h"
#include "kernels/common/views.h"

namespace rec {

struct UserResult {
  int32_t user = 0;
  std::vector<MetricValues> at;  // one per cut-off, in the order asked
};

struct Evaluation {
  std::vector<int64_t> cutoffs;      // k, as asked
  std::vector<MetricValues> mean;    // one per cut-off: the mean over `users`
  int64_t users = 0;                 // users with at least one item in the split
  std::vector<UserResult> per_user;  // ascending by user

  double value(Metric metric,
               int64_t k) const;  // throws std::invalid_argument when k was not asked
};

// truth (host): [users, items] of the evaluated split. masks (backend memory): the splits whose
// items are left out of every list. Every user with at least one item in truth counts once. Users are ranked a
// block at a time, so that lists take 64 MiB, or one user's, however many users there are.
Evaluation evaluate(Ranker& ranker, CsrView truth, const std::vector<CsrView>& masks,
                    std::vector<int64_t> cutoffs);

// The mean over those results whose user is kept, e.g. one group by history length; no users: all
// zero.
struct GroupMean {
  int64_t users = 0;
  std::vector<MetricValues> at;  // one per cut-off
};
template <class Keep>
GroupMean mean_over(const Evaluation& evaluation, Keep keep) {
  GroupMean group{0, std::vector<MetricValues>(evaluation.cutoffs.size())};
  for (const UserResult& result : evaluation.per_user) {
    if (!keep(result.user)) continue;
    ++group.users;
    for (size_t c = 0; c < result.at.size(); ++c)
      for (size_t m = 0; m < kAllMetrics.size(); ++m) group.at[c][m] += result.at[c][m];
  }
  for (MetricValues& values : group.at)
    for (double& v : values) v = group.users > 0 ? v / double(group.users) : 0.0;
  return group;
}

}  // namespace rec
