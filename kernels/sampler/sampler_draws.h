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

// floor(a * b / 2^64)
constexpr uint64_t multiply_high(uint64_t a, uint64_t b) {
  const uint64_t a_low = uint32_t(a), a_high = a >> 32, b_low = uint32_t(b), b_high = b >> 32;
  const uint64_t first = a_high * b_low + (a_low * b_low >> 32);
  const uint64_t second = a_low * b_high + uint32_t(first);
  return a_high * b_high + (first >> 32) + (second >> 32);
}

// The same of two words: uniform in [0, n) up to a bias below n / 2^64. n in [1, 2^63).
constexpr int64_t uniform_below(uint32_t high, uint32_t low, int64_t n) {
  return int64_t(multiply_high(uint64_t{high} << 32 | low, uint64_t(n)));
}

// Whether it is from 0 to below count.
template <class Id>
constexpr bool is_among(Id id, int64_t count) {
  return uint64_t(id) < uint64_t(count);
}

// How many words a negative takes, n of sampler.h.
constexpr int words_of_negative(const SamplerTables& from) {
  return from.weights.before_item.size > 0 ? 2 : 1;
}
// The draw that rule random_user takes its user by.
constexpr int64_t draw_of_user(const SamplerTables& from, int64_t negatives) {
  return words_of_negative(from) * (1 + negatives);
}

// Items that follow one another.
struct ItemRange {
  int32_t first, end;

  constexpr int32_t size() const { return end - first; }
};
// The items of a user's domain.
constexpr ItemRange items_of_domain(const SamplerTables& from, int64_t user) {
  const VectorView<const DomainStart>& start = from.domain_start;
  if (start.size == 0) return {0, int32_t(from.items_of_user.cols)};
  const int64_t domain = domain_of_user(start, user);
  return {int32_t(start[domain].item), int32_t(start[domain + 1].item)};
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

// A user's items and what they weigh.
struct OwnedWeights {
  const int64_t* before_item;  // of all items
  const int32_t* item;         // [degree], ascending
  const int64_t* outside;      // [degree], outside_before_edge of each
  int32_t degree;

  // The weights of her first `count` items.
  constexpr int64_t of_first(int32_t count) const {
    return count == 0 ? 0 : before_item[item[count - 1] + 1] - outside[count - 1];
  }
  // Of the items in `domain`, hers are all among them, those outside.
  constexpr int64_t outside_in(const ItemRange& domain) const {
    return before_item[domain.end] - before_item[domain.first] - of_first(degree);
  }
};
constexpr OwnedWeights owned_weights(const SamplerTables& from, int64_t user) {
  const CsrView& owned = from.items_of_user;
  return {from.weights.before_item.data, owned.row(user),
          from.weights.outside_before_edge.data + owned.row_start[user],
          int32_t(owned.degree(user))};
}

// The item of `domain`, outside hers, that holds place `rank` of their weights laid end to end;
// rank from before_item[domain.first].
constexpr int32_t weighted_item_outside(int64_t rank, const OwnedWeights& owned,
                                        const ItemRange& domain) {
  int32_t before = 0;  // owned.outside[k] <= rank for every k < before, and for none after
  for (int32_t length = owned.degree; length > 0;) {
    const int32_t half = (length + 1) / 2;
    before += owned.outside[before + half - 1] <= rank ? half : 0;
    length -= half;
  }
  const int64_t place = rank + owned.of_first(before);
  // the last of its neighbours among hers that starts no later
  int32_t item = before == 0 ? domain.first : owned.item[before - 1] + 1;
  int32_t after = before == owned.degree ? domain.end : owned.item[before];
  while (after - item > 1) {
    const int32_t middle = item + (after - item) / 2;
    (owned.before_item[middle] <= place ? item : after) = middle;
  }
  return item;
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

// The block of a place: the last that starts no later.
constexpr PlaceBlock block_of(const SamplerTables& from, int64_t place) {
  const CsrView& owned = from.items_of_user;
  if (from.block.size == 0) return {0, 0, from.active_user.size, 0, owned.row_start[owned.rows]};
  int64_t block = 0, after = from.block.size;  // block starts no later than place, after does
  while (after - block > 1) {
    const int64_t middle = block + (after - block) / 2;
    (from.block[middle].first_place <= place ? block : after) = middle;
  }
  return from.block[block];
}

// The user and the positive of the batch row whose position the epoch's order sends to place;
// word: of the row's draw 0; user_word: of its draw_of_user, which rule random_user alone looks at.
constexpr DrawnEdge draw_edge(const SamplerTables& from, int64_t place, uint32_t word,
                              uint32_t user_word) {
  const CsrView& owned = from.items_of_user;
  const PlaceBlock block = block_of(from, place);
  const int64_t within = place - block.first_place;
  if (from.rule == SamplingRule::interaction) {
    const int64_t edge = block.first_edge + within % block.edges;
    return {row_of_entry(owned, edge), edge};
  }
  const int64_t number = from.rule == SamplingRule::random_user
                             ? uniform_below(user_word, int32_t(block.active_users))
                             : within % block.active_users;
  const int64_t user = from.active_user[block.first_active + number];
  return {user, owned.row_start[user] + uniform_below(word, int32_t(owned.degree(user)))};
}

}  // namespace rec
