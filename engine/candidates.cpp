#include "engine/candidates.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>

#include "engine/draw_kinds.h"
#include "engine/evaluator.h"
#include "kernels/common/check.h"
#include "kernels/sampler/philox.h"
#include "kernels/sampler/sampler_draws.h"

namespace rec {
namespace {

std::vector<int32_t> row_of(CsrView m, int64_t r) { return {m.row(r), m.row(r) + m.degree(r)}; }

std::vector<int32_t> merged(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  std::vector<int32_t> all;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

// count different numbers below n, ascending, every set of them equally likely: Floyd's algorithm.
// word(i): the i-th draw.
template <class Word>
std::vector<int32_t> distinct_below(int32_t n, int32_t count, Word word) {
  std::vector<int32_t> chosen;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t last = n - count + i;
    const int32_t drawn = uniform_below(word(uint32_t(i)), last + 1);
    const auto at = std::lower_bound(chosen.begin(), chosen.end(), drawn);
    if (at != chosen.end() && *at == drawn)
      chosen.push_back(last);  // above all chosen so far
    else
      chosen.insert(at, drawn);
  }
  return chosen;
}

}  // namespace

void CandidateLists::add(int32_t list_user, const std::vector<int32_t>& candidates,
                         const std::vector<int32_t>& positives) {
  user.push_back(list_user);
  add_row(candidate, candidates);
  add_row(positive, positives);
}

CandidateLists draw_candidates(CsrView truth, const std::vector<CsrView>& splits, int64_t negatives,
                               uint64_t seed) {
  require(negatives > 0, "candidates: at least one negative is needed");
  CandidateLists lists;
  lists.candidate.cols = lists.positive.cols = truth.cols;
  for (int64_t u = 0; u < truth.rows; ++u) {
    if (truth.degree(u) == 0) continue;
    std::vector<int32_t> owned;
    for (CsrView split : splits) owned = merged(owned, row_of(split, u));
    const int64_t left = truth.cols - int64_t(owned.size());
    if (left < negatives)
      throw std::invalid_argument("user " + std::to_string(u) + " has all but " +
                                  std::to_string(left) + " items, too few to draw " +
                                  std::to_string(negatives) + " negatives from; draw fewer");
    for (int32_t item : row_of(truth, u)) {
      const auto word = [&](uint32_t draw) {
        return philox(draw / 4, uint32_t(u), uint32_t(item), uint32_t(DrawKind::candidates),
                      uint32_t(seed), uint32_t(seed >> 32))
            .word[draw % 4];
      };
      std::vector<int32_t> drawn = distinct_below(int32_t(left), int32_t(negatives), word);
      for (int32_t& negative : drawn)
        negative = item_outside(negative, owned.data(), int32_t(owned.size()));
      lists.add(int32_t(u), merged({item}, drawn), {item});
    }
  }
  return lists;
}

CandidateLists pooled(const CandidateLists& lists, CsrView truth) {
  CandidateLists pools;
  pools.candidate.cols = pools.positive.cols = truth.cols;
  for (size_t l = 0; l < lists.user.size();) {
    const int32_t user = lists.user[l];
    const std::vector<int32_t> positives = row_of(truth, user);
    std::vector<int32_t> candidates = positives;
    for (; l < lists.user.size() && lists.user[l] == user; ++l)
      candidates = merged(candidates, row_of(lists.candidate.view(), int64_t(l)));
    pools.add(user, candidates, positives);
  }
  return pools;
}

CandidateEvaluation evaluate(Ranker& ranker, const CandidateLists& lists,
                             std::vector<int64_t> cutoffs) {
  CandidateEvaluation result;
  result.cutoffs = std::move(cutoffs);
  result.lists = lists.lists();
  const CsrView candidate = lists.candidate.view(), positive = lists.positive.view();
  const std::vector<float> score = ranker.scores(lists.user, candidate);
  GroupSum sum(result.cutoffs.size());
  for (int64_t l = 0; l < result.lists; ++l) {
    if (l == 0 || lists.user[size_t(l)] != lists.user[size_t(l - 1)]) ++result.users;
    std::vector<int64_t> order;
    for (int64_t e = candidate.row_start[l]; e < candidate.row_start[l + 1]; ++e)
      order.push_back(e);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return score[size_t(a)] > score[size_t(b)]; });
    std::vector<int32_t> ranked;
    for (int64_t e : order) ranked.push_back(candidate.col[e]);
    sum.add(metrics_at(result.cutoffs, {ranked.data(), int64_t(ranked.size())},
                       {positive.row(l), positive.degree(l)}));
  }
  result.mean = sum.mean().at;
  return result;
}

}  // namespace rec
