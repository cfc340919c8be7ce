// The baselines that need no training, as rankers for the same evaluator.
#pragma once
#include <cstdint>
#include <memory>

#include "engine/ranker.h"

namespace rec {

// Every user: items by their number of training interactions.
std::unique_ptr<Ranker> make_popularity(Backend& backend, CsrView train);

// Cosine between the mean language vector of a user's training items and each item's vector.
// z (host): [items, language_width].
std::unique_ptr<Ranker> make_embedding_knn(Backend& backend, MatrixView<const float> z,
                                           CsrView train);

// Items in an order drawn per user. With pool > 0 the `pool` most popular items (ties: smaller ids)
// come before all others: the paper's Pop with pool 200.
// Draws are Philox keyed by (seed, user, item).
std::unique_ptr<Ranker> make_random(Backend& backend, CsrView train, int64_t pool, uint64_t seed);

}  // namespace rec
