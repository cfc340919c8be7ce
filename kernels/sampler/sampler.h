// sampler: draws one training batch and groups it by user and by item, or takes and groups a given one.
//
// A batch row b holds a user, one of her training items (the positive), and S negatives drawn with
// replacement over the items of her domain that are not among her training items: uniformly, or in
// proportion to weights.
//
// Every draw is a pure function of (seed, epoch, step, row, draw) through Philox4x32-10, so every
// backend draws the same batch bit for bit, and a resumed run draws
// what the uninterrupted one would have drawn.
//
//   key      = {seed low 32 bits, seed high 32 bits}
//   counter  = {draw / 4, row, step, epoch};  word = draw % 4
//   draw     = 0 for the positive, n (1 + j) and the n - 1 after it for negative j, n (1 + S) for
//              the user (rule random_user); n = 1, or 2 where negatives have weights
//   uniform below m = floor(word * m / 2^32)   (a bias under m / 2^32); of two words, the first is
//              the high half and the divisor 2^64
//
//   place    : position t = step * batch + row of the epoch's permutation of [0, edges), a keyed
//              Feistel bijection with cycle walking (EpochOrder in sampler_order.h). The places are
//              one block for everybody, or a block for each domain; q = perm(t) - the block's first
//   user     : rule user:        the block's active user number q % its active users
//                                (one block: each user floor or ceil(E/U) times)
//              rule interaction: the user of the block's edge number q % its edges, whose item is
//                                the positive
//              rule random_user: the block's active user number uniform below its active users
//   positive : items_of_user.row(u)[uniform below degree]   (all rules but interaction)
//   negative : by rank among the complement, so no draw is ever rejected and users who own nearly
//              everything cost the same. Uniform, in a domain whose items begin at f:
//                r = f + uniform below (items of the domain - degree); the answer is
//                r + |{k : item_k - k <= r}| over her sorted items (a binary search).
//              By weight, with before(i) = the weights of all items before i:
//                r = before(f) + uniform below (weights of the domain - weights of her items);
//                c = |{k : before(item_k) - (weights of her items before item_k) <= r}|;
//                the answer is the last i with before(i) <= r + (weights of her first c items).
//
// Every user must leave an item of her domain, by weight one above 0 (engine/draw_tables.h refuses
// who does not). An item of weight 0 is never a negative.
// Refuses: batch * (1 + negatives) >= 2^31.
// Repeatable: yes, for any number of threads.
// Why it works: docs/kernels/sampler.md   Test: tests/kernels/test_sampler.cpp
// Speed: bench/kernels/bench_sampler.cpp
#pragma once
#include <cstddef>

#include "kernels/common/check.h"
#include "kernels/common/domains.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

enum class SamplingRule { user, interaction, random_user };

// Where the training stands. Lives in backend memory, so that a recorded step can be replayed.
struct TrainingClock {
  uint64_t seed = 0;
  int64_t epoch = 0;    // from 0; below 2^32
  int64_t step = 0;     // within the epoch; below 2^32
  int64_t updates = 0;  // optimiser steps made so far
  double loss_sum = 0;  // of the epoch's steps so far
};

// What negatives weigh: whole numbers from 0, together below 2^62.
struct NegativeWeights {
  VectorView<const int64_t> before_item;  // [items + 1], the weights of all items before it
  // [edges], before_item of the edge's item less the weights of the user's items before it, each
  // item once
  VectorView<const int64_t> outside_before_edge;
};

// Places of an epoch that follow one another, and the users and edges they are shared out among.
struct PlaceBlock {
  int64_t first_place = 0;
  int64_t first_active = 0, active_users = 0;  // of active_user
  int64_t first_edge = 0, edges = 0;           // of items_of_user, the edges of those users
};

// What is drawn from; fixed for a run.
struct SamplerTables {
  // [users, items], sorted rows: training interactions. An item may stand in a row several times
  // where negatives have weights: it is so much likelier a positive.
  CsrView items_of_user;
  VectorView<const int32_t> active_user;  // users with at least one training item, ascending
  SamplingRule rule = SamplingRule::user;
  VectorView<const DomainStart> domain_start = {};  // [domains + 1]; empty: one domain
  NegativeWeights weights = {};                     // empty: negatives are uniform
  VectorView<const PlaceBlock> block = {};          // ascending from place 0; empty: one of all
};

// One batch of B rows with S negatives each, and the same batch grouped for the gradients.
struct BatchView {
  VectorView<int32_t> user;      // [batch]
  VectorView<int32_t> positive;  // [batch], item ids
  MatrixView<int32_t> negative;  // [batch, negatives], item ids, stride == cols
  // rows_of_user: row u lists the batch rows of user u, ascending.
  VectorView<int64_t> user_start;  // [users + 1]
  VectorView<int32_t> user_row;    // [batch]
  // uses_of_item: row i lists b * (1 + S) + slot, ascending;
  // slot 0 is the positive, slot 1 + j negative j.
  VectorView<int64_t> item_start;  // [items + 1]
  VectorView<int32_t> item_use;    // [batch * (1 + negatives)]

  constexpr int64_t rows() const { return user.size; }
  constexpr int64_t negatives() const { return negative.cols; }
  constexpr CsrView rows_of_user() const {
    return {user_start.size - 1, rows(), user_start.data, user_row.data};
  }
  constexpr CsrView uses_of_item() const {
    return {item_start.size - 1, rows() * (1 + negatives()), item_start.data, item_use.data};
  }
};

inline void require_batch_shapes(const BatchView& batch) {
  require(batch.rows() > 0, "sampler: a batch needs at least one row");
  require(batch.negatives() > 0, "sampler: a batch needs at least one negative a row");
  require(batch.positive.size == batch.rows() && batch.negative.rows == batch.rows() &&
              batch.user_row.size == batch.rows(),
          "sampler: users, positives and negatives must have one row each per batch row");
  require(batch.negative.stride == batch.negative.cols, "sampler: negatives must be contiguous");
  require(batch.rows() * (1 + batch.negatives()) < (int64_t{1} << 31),
          "sampler: batch * (1 + negatives) must stay below 2^31");
  require(batch.item_use.size == batch.rows() * (1 + batch.negatives()),
          "sampler: item_use must hold every positive and negative");
  require(batch.user_start.size > 1 && batch.item_start.size > 1,
          "sampler: a batch is grouped by at least one user and one item");
}

template <class Id>
void require_id_shapes(MatrixView<const Id> given, int64_t count, MatrixView<int32_t> ids) {
  require(count > 0 && count < (int64_t{1} << 31), "sampler: ids are below a count of 1 to 2^31");
  require(given.rows == ids.rows && given.cols == ids.cols && ids.stride == ids.cols,
          "sampler: ids must be contiguous and as many as those given");
}

inline void require_sampler_shapes(const SamplerTables& from, const BatchView& batch) {
  require_batch_shapes(batch);
  require(from.active_user.size > 0, "sampler: no user has a training item");
  require(from.domain_start.size != 1, "sampler: domains need a start each, and where all end");
  require(from.weights.before_item.size == 0 ||
              from.weights.before_item.size == from.items_of_user.cols + 1,
          "sampler: weights must cover all items");
  require((from.weights.before_item.size == 0) == (from.weights.outside_before_edge.size == 0),
          "sampler: weights must be given of both items and edges");
  require(batch.user_start.size == from.items_of_user.rows + 1 &&
              batch.item_start.size == from.items_of_user.cols + 1,
          "sampler: the groupings must cover all users and all items");
}

namespace cpu {
// Draws the batch of clock (seed, epoch, step + ahead); does not move the clock. A step that the
// epoch does not have is drawn like any other.
void draw_batch(const SamplerTables& from, const TrainingClock& clock, int64_t ahead,
                const BatchView& batch);

// Ids of a caller's as a batch holds them: ids [rows, cols], stride == cols, are those given where they are from 0 to count - 1. For any other it is 0, and then *loss_sum is NaN: so those need not be looked
// at beforehand where the host does not see them.
void take_ids(MatrixView<const int32_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum);
void take_ids(MatrixView<const int64_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum);

// Of a batch whose users, positives and negatives are given: fills the groupings, as draw_batch
// does. The ids, which are only read, must be among the users and items of the groupings; nobody
// looks.
void group_batch(const BatchView& batch);

}  // namespace cpu
namespace cuda {

// As above; the clock is read on the device when the step runs: its seed, epoch and step alone, so
// that the loss may be added to meanwhile. scratch: aligned to 256.
void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                const BatchView& batch, VectorView<std::byte> scratch, Stream stream);
int64_t draw_batch_scratch_bytes(int64_t rows, int64_t negatives);

void take_ids(MatrixView<const int32_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum, Stream stream);
void take_ids(MatrixView<const int64_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum, Stream stream);

// As above, with draw_batch's scratch.
void group_batch(const BatchView& batch, VectorView<std::byte> scratch, Stream stream);

// After a step: the clock's step and updates go on by one.
void advance_clock(TrainingClock* clock, Stream stream);

}  // namespace cuda
}  // namespace rec
