#include "engine/evaluator.h"

#include <algorithm>

#include "kernels/common/check.h"

namespace rec {
namespace {

constexpr int64_t kListBytes = int64_t{64} << 20;  // of lists held at once, on the host

}  // namespace

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
  result.per_user.reserve(users.size());
  const size_t block = size_t(
      std::max<int64_t>(1, kListBytes / (longest * int64_t{sizeof(int32_t) + sizeof(float)})));
  for (size_t first = 0; first < users.size(); first += block) {
    const size_t end = std::min(first + block, users.size());
    const std::vector<int32_t> some(users.begin() + ptrdiff_t(first),
                                    users.begin() + ptrdiff_t(end));
    const TopLists lists = ranker.rank(some, masks, {}, longest);
    for (size_t row = 0; row < some.size(); ++row) {
      const int32_t user = some[row];
      const VectorView<const int32_t> relevant{truth.row(user), truth.degree(user)};
      UserResult one{user, {}};
      for (int64_t k : result.cutoffs)
        one.at.push_back(user_metrics(lists.items_of(static_cast<int64_t>(row)), relevant, k));
      result.per_user.push_back(std::move(one));
    }
  }
  result.mean = mean_over(result, [](int32_t) { return true; }).at;
  return result;
}

}  // namespace rec
