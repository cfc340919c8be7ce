// Candidate ranking: a user's positives among a few given negatives, and no other item. Its metrics
// are not those of all-ranking and never stand under their names.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/host_csr.h"
#include "engine/metrics.h"
#include "engine/ranker.h"
#include "kernels/common/views.h"

namespace rec {

struct CandidateLists {
  std::vector<int32_t> user;  // [lists], ascending
  HostCsr candidate;          // [lists, items]: positives and negatives
  HostCsr positive;           // [lists, items]: some of the candidates, at least one a list

  int64_t lists() const { return static_cast<int64_t>(user.size()); }
  // A list after all others; candidate and positive ascending, without repeats.
  void add(int32_t list_user, const std::vector<int32_t>& candidates,
           const std::vector<int32_t>& positives);
};

// One list for each (user, item) of truth: the item, and `negatives` different items drawn uniformly
// from those that the user has in no split. splits (host): all of them, truth too. Draws are Philox
// keyed by (seed, user, item, draw). Throws std::invalid_argument naming a user with too few items
// left.
CandidateLists draw_candidates(CsrView truth, const std::vector<CsrView>& splits, int64_t negatives,
                               uint64_t seed);

// One list for each user of `lists`: all her candidates together with all her items of truth, which
// are its positives.
CandidateLists pooled(const CandidateLists& lists, CsrView truth);

struct CandidateEvaluation {
  std::vector<int64_t> cutoffs;    // k, as asked
  std::vector<MetricValues> mean;  // one per cut-off: the mean over the lists
  int64_t lists = 0;
  int64_t users = 0;  // who have at least one list
};

// Ranks each list by (higher score, then smaller item id).
CandidateEvaluation evaluate(Ranker& ranker, const CandidateLists& lists,
                             std::vector<int64_t> cutoffs);

}  // namespace rec
