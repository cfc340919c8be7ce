// How far an intention brings a wanted item up, and what it costs the others: the paper's Table 5
// and Figure 4.
//
// Each user has one item of her test split as the target; her list moves towards the target's query
// as alpha grows. Her other test items stay in the list and count as not relevant.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/intention.h"

namespace rec {

struct IntentionTarget {
  int32_t user = 0, item = 0;
};

// One target a user, ascending, uniform among those of her items in test (host) whose has_query
// [items] is not 0; users without any have none. Philox keyed by (seed, user).
std::vector<IntentionTarget> draw_targets(CsrView test, const std::vector<uint8_t>& has_query,
                                          uint64_t seed);

// A stand-in for an item's query where nobody wrote one: out [width] has the norm of z [width] and
// this cosine with it. The direction across z is drawn by Philox keyed by (seed, item); vectors of
// one value have no such direction and are refused.
void noisy_query(VectorView<const float> z, double cosine, uint64_t seed, int32_t item, float* out);

// At one alpha.
struct IntentionPoint {
  double alpha = 0;
  double hr_5 = 0, ndcg_5 = 0, hr_20 = 0;  // of the target, mean over all targets
  double others_recall_20 = 0;  // of the user's other test items, mean over those who have any
};

// query (host) [targets, dim]: the projected query of each target. test (host) [users, items]: what
// her other items are; the ranker must not leave them out.
IntentionPoint measure_intention(IntentionRanker& ranker,
                                 const std::vector<IntentionTarget>& targets,
                                 MatrixView<const float> query, CsrView test, double alpha);

}  // namespace rec
