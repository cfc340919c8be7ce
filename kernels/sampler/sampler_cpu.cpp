#include <omp.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/sampler/philox.h"
#include "kernels/sampler/sampler.h"
#include "kernels/sampler/sampler_draws.h"
#include "kernels/sampler/sampler_order.h"

namespace rec::cpu {
namespace {

// words[d] = the random word of draw d of one row, d < 4 * blocks.
REC_SIMD_CLONES void draw_words(uint64_t seed, uint32_t row, uint32_t step, uint32_t epoch,
                                int64_t blocks, uint32_t* words) {
#pragma omp simd
  for (int64_t b = 0; b < blocks; ++b) {
    const PhiloxWords w =
        philox(uint32_t(b), row, step, epoch, uint32_t(seed), uint32_t(seed >> 32));
    words[4 * b] = w.word[0];
    words[4 * b + 1] = w.word[1];
    words[4 * b + 2] = w.word[2];
    words[4 * b + 3] = w.word[3];
  }
}

// item[j] = the negative that words[j] picks in domain, outside owned. All searches have the same
// length, so they run side by side.
REC_SIMD_CLONES void pick_negatives(const uint32_t* words, int64_t count, ItemRange domain,
                                    const int32_t* owned, int32_t degree, int32_t* item) {
  const int32_t choices = domain.size() - degree;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) item[j] = domain.first + uniform_below(words[j], choices);
  // item_outside, one probe for all draws at a time; item[j] holds the rank, before[j] the
  // answer so far
  constexpr int64_t kTogether = 64;
  for (int64_t first = 0; first < count; first += kTogether) {
    const int64_t n = std::min(kTogether, count - first);
    int32_t before[kTogether] = {};
    for (int32_t length = degree; length > 0;) {
      const int32_t half = (length + 1) / 2;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) {
        const int32_t probe = before[j] + half - 1;
        // a mask, not ?:, of which compilers make a branch
        before[j] += half & -int32_t(owned[probe] - probe <= item[first + j]);
      }
      length -= half;
    }
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) item[first + j] += before[j];
  }
}

// The same by weight: item[j] by words[2 j] and words[2 j + 1]. weighted_item_outside, one probe
// for all draws at a time; its second search goes through the whole domain, so that its length is
// the same for all.
REC_SIMD_CLONES void pick_weighted_negatives(const uint32_t* words, int64_t count, ItemRange domain,
                                             const OwnedWeights& owned, int32_t* item) {
  const int64_t* const before_item = owned.before_item;
  const int64_t* const outside = owned.outside;
  const int64_t first_rank = before_item[domain.first], choices = owned.outside_in(domain);
  constexpr int64_t kTogether = 64;
  for (int64_t first = 0; first < count; first += kTogether) {
    const int64_t n = std::min(kTogether, count - first);
    const uint32_t* const word = words + 2 * first;
    int64_t rank[kTogether];  // then the place among all weights
#pragma omp simd
    for (int64_t j = 0; j < n; ++j)
      rank[j] = first_rank + uniform_below(word[2 * j], word[2 * j + 1], choices);
    int32_t before[kTogether] = {};
    for (int32_t length = owned.degree; length > 0;) {
      const int32_t half = (length + 1) / 2;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j)
        before[j] += half & -int32_t(outside[before[j] + half - 1] <= rank[j]);
      length -= half;
    }
    for (int64_t j = 0; j < n; ++j) rank[j] += owned.of_first(before[j]);
    int32_t* const found = item + first;
    std::fill_n(found, n, domain.first);
    for (int32_t length = domain.size() - 1; length > 0;) {
      const int32_t half = (length + 1) / 2;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j)
        found[j] += half & -int32_t(before_item[found[j] + half] <= rank[j]);
      length -= half;
    }
  }
}

// Stable counting sort of the numbers 0 .. numbers by key, numbers / rows of them to a row.
// for_each(first, last, visit) calls visit(key, number) for the numbers of rows [first, last),
// ascending. The rows are cut into a piece for each thread; the result does not depend on how many.
template <class ForEach>
void group(int64_t rows, int64_t numbers, int64_t keys, ForEach for_each, int64_t* start,
           int32_t* members) {
  // A piece goes through all keys once: not more of them than there is to sort.
  const int64_t pieces =
      std::clamp<int64_t>(numbers / keys, 1, std::min<int64_t>(omp_get_max_threads(), rows));
  // of piece p: first how many of its numbers have each key, then where the next of them goes
  std::vector<int64_t> places(static_cast<size_t>(pieces * keys), 0);
#pragma omp parallel for schedule(static, 1)
  for (int64_t p = 0; p < pieces; ++p) {
    int64_t* count = places.data() + p * keys;
    for_each(p * rows / pieces, (p + 1) * rows / pieces,
             [&](int32_t key, int32_t) { ++count[key]; });
  }
  int64_t total = 0;
  for (int64_t k = 0; k < keys; ++k) {
    start[k] = total;
    for (int64_t p = 0; p < pieces; ++p)
      total += std::exchange(places[static_cast<size_t>(p * keys + k)], total);
  }
  start[keys] = total;
#pragma omp parallel for schedule(static, 1)
  for (int64_t p = 0; p < pieces; ++p) {
    int64_t* place = places.data() + p * keys;
    for_each(p * rows / pieces, (p + 1) * rows / pieces,
             [&](int32_t key, int32_t number) { members[place[key]++] = number; });
  }
}

template <class Id>
void take(MatrixView<const Id> given, int64_t count, MatrixView<int32_t> ids, double* loss_sum) {
  require_id_shapes(given, count, ids);
  int64_t wrong = 0;
#pragma omp parallel for schedule(static) reduction(+ : wrong)
  for (int64_t r = 0; r < given.rows; ++r)
    for (int64_t c = 0; c < given.cols; ++c) {
      const Id id = given(r, c);
      const bool holds = is_among(id, count);
      wrong += !holds;
      ids(r, c) = holds ? int32_t(id) : 0;
    }
  if (wrong > 0) *loss_sum = std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void take_ids(MatrixView<const int32_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum) {
  take(given, count, ids, loss_sum);
}
void take_ids(MatrixView<const int64_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum) {
  take(given, count, ids, loss_sum);
}

void group_batch(const BatchView& batch) {
  require_batch_shapes(batch);
  const int64_t draws = 1 + batch.negatives();
  const auto users = [&](int64_t first, int64_t last, auto visit) {
    for (int64_t b = first; b < last; ++b) visit(batch.user[b], int32_t(b));
  };
  group(batch.rows(), batch.rows(), batch.rows_of_user().rows, users, batch.user_start.data,
        batch.user_row.data);
  const auto items = [&](int64_t first, int64_t last, auto visit) {
    for (int64_t b = first; b < last; ++b) {
      const int32_t use = int32_t(b * draws);
      visit(batch.positive[b], use);
      const int32_t* negative = batch.negative.row(b);
      for (int32_t j = 0; j < int32_t(draws - 1); ++j) visit(negative[j], use + 1 + j);
    }
  };
  group(batch.rows(), batch.rows() * draws, batch.uses_of_item().rows, items, batch.item_start.data,
        batch.item_use.data);
}

void draw_batch(const SamplerTables& from, const TrainingClock& clock, int64_t ahead,
                const BatchView& batch) {
  require_sampler_shapes(from, batch);
  const int64_t step = clock.step + ahead;
  const CsrView& owned = from.items_of_user;
  const int64_t edges = owned.row_start[owned.rows];
  const EpochOrder order(clock.seed, clock.epoch, edges);
  const int64_t draws = 1 + batch.negatives();
  const int64_t words_of_one = words_of_negative(from), user_draw = draw_of_user(from, draws - 1);
  const bool draws_user = from.rule == SamplingRule::random_user;
  const int64_t blocks = ceil_div(user_draw + (draws_user ? 1 : 0), 4);
  const auto words_of_threads = make_scratch<uint32_t>(omp_get_max_threads() * 4 * blocks);
#pragma omp parallel
  {
    uint32_t* const words = words_of_threads.get() + omp_get_thread_num() * 4 * blocks;
#pragma omp for schedule(static)
    for (int64_t b = 0; b < batch.rows(); ++b) {
      draw_words(clock.seed, uint32_t(b), uint32_t(step), uint32_t(clock.epoch), blocks, words);
      const int64_t place = order.at((step * batch.rows() + b) % edges);
      const DrawnEdge drawn = draw_edge(from, place, words[0], draws_user ? words[user_draw] : 0);
      batch.user[b] = int32_t(drawn.user);
      batch.positive[b] = owned.col[drawn.edge];
      const ItemRange domain = items_of_domain(from, drawn.user);
      if (words_of_one == 1)
        pick_negatives(words + 1, batch.negatives(), domain, owned.row(drawn.user),
                       int32_t(owned.degree(drawn.user)), batch.negative.row(b));
      else
        pick_weighted_negatives(words + 2, batch.negatives(), domain,
                                owned_weights(from, drawn.user), batch.negative.row(b));
    }
  }
  group_batch(batch);
}

}  // namespace rec::cpu
