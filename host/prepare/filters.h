// What is left out before interactions are split. Each returns how many interactions went, and keeps
// the others in the order of the source.
#pragma once
#include <cstdint>

#include "host/prepare/interaction_log.h"

namespace rec {

// Of the same user and item one interaction: the first or the last by time, where times are kept,
// else by line; or the first line with the sum of all ratings.
enum class Dedup { first, last, sum };
int64_t drop_repeats(InteractionLog& log, Dedup which);

int64_t drop_ratings_below(InteractionLog& log, double least);

// Items, or users, with fewer than `least` interactions, counted once.
int64_t drop_rare_items(InteractionLog& log, int64_t least);
int64_t drop_rare_users(InteractionLog& log, int64_t least);

// Both, again and again until every user and every item left has as many.
int64_t keep_core(InteractionLog& log, int64_t of_user, int64_t of_item);

}  // namespace rec
