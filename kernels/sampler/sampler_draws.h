// The arithmetic of one draw, shared by every backend.
#pragma once
#include <cstdint>

#include "kernels/common/views.h"
#include "kernels/sampler/sampler.h"

namespace rec {

// floor(word * n / 2^32): uniform in [0, n) up to a bias below n / 2^32. n in [1, 2^31).
constexpr int32_t uniform_below(uint32_t word, int32_t n) {
  return int32_t((uint64_t{word} * uint32_t(n)) >> 32);
}

// The rank-th smallest item that is not in owned (ascending, degree items), rank from 0: rank plus
// the number of owned items before it, |{k : owned[k] - k <= rank}|,
// by a binary search without branches.
constexpr int32_t item_outside(int32_t rank, const int32_t* owned, int32_t degree) {
  int32_t before = 0;  // owned[k] - k <= rank for every k < before
  int32_t length = degree;
  while (length > 0) {
    const int32_t half = (length + 1) / 2;
    const int32_t probe = before + half - 1;
    before += owned[probe] - probe <= rank ? half : 0;
    length -= half;
  }
  return rank + before;
}

// The row that holds entry number `entry` of m: the last that starts no later. m has such an entry.
constexpr int64_t row_of_entry(const CsrView& m, int64_t entry) {
  int64_t row = 0, after = m.rows;  // row starts no later than entry, after does
  while (after - row > 1) {
    const int64_t middle = row + (after - row) / 2;
    (m.row_start[middle] <= entry ? row : after) = middle;
  }
  return row;
}

// One of a user's items, by its place in items_of_user.col.
struct DrawnEdge {
  int64_t user, edge;
};

// The user and the positive of the batch row whose position the epoch's order sends to place;
// word: of the row's draw 0.
constexpr DrawnEdge draw_edge(const SamplerTables& from, int64_t place, uint32_t word) {
  const CsrView& owned = from.items_of_user;
  if (from.rule == SamplingRule::interaction) return {row_of_entry(owned, place), place};
  const int64_t user = from.active_user[place % from.active_user.size];
  return {user, owned.row_start[user] + uniform_below(word, int32_t(owned.degree(user)))};
}

}  // namespace rec
