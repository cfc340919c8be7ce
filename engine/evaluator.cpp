#include "engine/evaluator.h"

#include <algorithm>

#include "kernels/common/check.h"

namespace rec {

double Evaluation::value(Metric metric, int64_t k) const {
  const auto at = std::find(cutoffs.begin(), cutoffs.end(), k);
  require(at != cutoffs.end(), "evaluation: the cut-off asked for was not evaluated");
  return mean[size_t(at - cutoffs.begin())][size_t(metric)];
}

Evaluation evaluate(Ranker& ranker, CsrView truth, const std::vector<CsrView>& masks,
                    std::vector<int64_t> cutoffs) {
  require(!cutoffs.empty(), "evaluation: at least one cut-off is needed");
  require(*std::min_element(cutoffs.begin(), cutoffs.end()) > 0,
          "evaluation: cut-offs must be greater than 0");
  std::vector<int32_t> users;
  for (int64_t u = 0; u < truth.rows; ++u)
    if (truth.degree(u) > 0) users.push_back(static_cast<int32_t>(u));

  Evaluation result;
  result.cutoffs = std::move(cutoffs);
  result.users = static_cast<int64_t>(users.size());
  // A list longer than there are items would only be padding.
  const int64_t longest = std::min(*std::max_element(result.cutoffs.begin(), result.cutoffs.end()),
                                   std::max<int64_t>(1, truth.cols));
  const TopLists lists = ranker.rank(users, masks, {}, longest);
  result.per_user.reserve(users.size());
  for (size_t row = 0; row < users.size(); ++row) {
    const int32_t user = users[row];
    const VectorView<const int32_t> relevant{truth.row(user), truth.degree(user)};
    UserResult one{user, {}};
    for (int64_t k : result.cutoffs)
      one.at.push_back(user_metrics(lists.items_of(static_cast<int64_t>(row)), relevant, k));
    result.per_user.push_back(std::move(one));
  }
  result.mean = mean_over(result, [](int32_t) { return true; }).at;
  return result;
}

}  // namespace rec
