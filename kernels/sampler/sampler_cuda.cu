#include <bit>

#include "kernels/common/argsort.h"
#include "kernels/common/carve.h"
#include "kernels/common/ceil_div.h"
#include "kernels/common/gpu.h"
#include "kernels/sampler/philox.h"
#include "kernels/sampler/sampler.h"
#include "kernels/sampler/sampler_draws.h"
#include "kernels/sampler/sampler_order.h"

namespace rec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRowThreads = 64;  // few rows with long work each: over many multiprocessors
constexpr int kWords = 4;        // of one call of philox
constexpr unsigned long long kNan = 0x7FF8000000000000ull;  // as a double

__device__ int64_t thread_of_grid() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

// What the draws of one batch depend on.
struct DrawnStep {
  uint64_t seed;
  int64_t epoch, step;
};
__device__ DrawnStep step_after(const TrainingClock* clock, int64_t ahead) {
  return {clock->seed, clock->epoch, clock->step + ahead};
}

__device__ PhiloxWords words_of(const DrawnStep& at, int64_t block, int64_t row) {
  return philox(uint32_t(block), uint32_t(row), uint32_t(at.step), uint32_t(at.epoch),
                uint32_t(at.seed), uint32_t(at.seed >> 32));
}

// The word of one of the draws of a row.
__device__ uint32_t word_of(const DrawnStep& at, int64_t draw, int64_t row) {
  const PhiloxWords words = words_of(at, draw / kWords, row);
  const int64_t which = draw % kWords;  // of registers, which have no addresses
  return which == 0   ? words.word[0]
         : which == 1 ? words.word[1]
         : which == 2 ? words.word[2]
                      : words.word[3];
}

// Users and positives. A thread a row.
__global__ __launch_bounds__(kRowThreads) void draw_rows(SamplerTables from,
                                                         const TrainingClock* clock, int64_t ahead,
                                                         BatchView batch) {
  const int64_t b = thread_of_grid();
  if (b >= batch.rows()) return;
  const DrawnStep at = step_after(clock, ahead);
  const int64_t edges = from.items_of_user.row_start[from.items_of_user.rows];
  const int64_t place =
      EpochOrder(at.seed, at.epoch, edges).at((at.step * batch.rows() + b) % edges);
  const uint32_t user_word = from.rule == SamplingRule::random_user
                                 ? word_of(at, draw_of_user(from, batch.negatives()), b)
                                 : 0;
  const DrawnEdge drawn = draw_edge(from, place, words_of(at, 0, b).word[0], user_word);
  batch.user[b] = int32_t(drawn.user);
  batch.positive[b] = from.items_of_user.col[drawn.edge];
}

// Negatives, and the item of every use, [batch * (1 + negatives)]. A thread makes the four words of
// one call of philox, calls numbered row by row; then its warp deals their 128 words out again, so
// that neighbours search for neighbouring draws and write side by side. words_of_use: 1, or 2 for
// negatives by weight.
template <int words_of_use>
__global__ __launch_bounds__(kThreads) void draw_negatives(SamplerTables from,
                                                           const TrainingClock* clock,
                                                           int64_t ahead, BatchView batch,
                                                           int32_t* item_of_use) {
  constexpr int kUses = kWords / words_of_use;  // of one call
  REC_SHARED_ARRAY(PhiloxWords, words, [kThreads]);
  const CsrView& owned = from.items_of_user;
  // below 2^31, as batch * (1 + negatives)
  const int uses = int(1 + batch.negatives());
  const int calls_of_row = int(ceil_div(uses, kUses));
  const int calls = int(batch.rows()) * calls_of_row;
  const DrawnStep at = step_after(clock, ahead);
  const int64_t call = thread_of_grid();
  if (call < calls) words[threadIdx.x] = words_of(at, call % calls_of_row, call / calls_of_row);
  __syncwarp();
  const int lane = int(threadIdx.x) % kWarpSize;
  const int first_thread = int(threadIdx.x) - lane;
  for (int part = 0; part < kUses; ++part) {
    const int place = part * kWarpSize + lane;  // among the warp's uses
    const int of_thread = first_thread + place / kUses, which = place % kUses;
    const int64_t its_call = call - lane + place / kUses;
    if (its_call >= calls) return;
    const int b = int(its_call) / calls_of_row;
    const int use = int(its_call) % calls_of_row * kUses + which;
    if (use >= uses) continue;
    int32_t item = 0;
    if (use == 0) {
      item = batch.positive[b];
    } else {
      const int64_t user = batch.user[b];
      const ItemRange domain = items_of_domain(from, user);
      const uint32_t* const word = words[of_thread].word + which * words_of_use;
      if constexpr (words_of_use == 1) {
        const int32_t degree = int32_t(owned.degree(user));
        const int32_t rank = domain.first + uniform_below(word[0], domain.size() - degree);
        item = item_outside(rank, owned.row(user), degree);
      } else {
        const OwnedWeights hers = owned_weights(from, user);
        const int64_t rank = hers.before_item[domain.first] +
                             uniform_below(word[0], word[1], hers.outside_in(domain));
        item = weighted_item_outside(rank, hers, domain);
      }
      batch.negative(b, use - 1) = item;
    }
    item_of_use[int64_t{b} * uses + use] = item;
  }
}

// A thread an id. Whoever finds one wrong writes the same NaN.
template <class Id>
__global__ __launch_bounds__(kThreads) void take(MatrixView<const Id> given, int64_t count,
                                                 MatrixView<int32_t> ids, double* loss_sum) {
  const int64_t n = thread_of_grid();
  if (n >= ids.rows * ids.cols) return;
  const Id id = given(n / ids.cols, n % ids.cols);
  const bool holds = is_among(id, count);
  ids.data[n] = holds ? int32_t(id) : 0;
  if (!holds) atomicExch(reinterpret_cast<unsigned long long*>(loss_sum), kNan);
}

// The item of every use of a batch whose items are given. A thread a use.
__global__ __launch_bounds__(kThreads) void list_uses(BatchView batch, int32_t* item_of_use) {
  const int64_t use = thread_of_grid();
  if (use >= batch.item_use.size) return;
  // below 2^31, as batch * (1 + negatives)
  const int uses = int(1 + batch.negatives());
  const int b = int(use) / uses, slot = int(use) % uses;
  item_of_use[use] = slot == 0 ? batch.positive[b] : batch.negative(b, slot - 1);
}

// start[k] = how many of the ascending keys are below k. A thread a k.
__global__ __launch_bounds__(kThreads) void find_starts(VectorView<const int32_t> ascending_key,
                                                        VectorView<int64_t> start) {
  const int64_t k = thread_of_grid();
  if (k >= start.size) return;
  int64_t below = 0, above = ascending_key.size;
  while (below < above) {
    const int64_t middle = below + (above - below) / 2;
    if (ascending_key[middle] < k)
      below = middle + 1;
    else
      above = middle;
  }
  start[k] = below;
}

__global__ void advance(TrainingClock* clock) {
  ++clock->step;
  ++clock->updates;
}

struct Scratch {
  VectorView<int32_t> item_of_use, sorted_key;  // [batch * (1 + negatives)]
  VectorView<std::byte> argsort;
};
Scratch lay_out(Carver& carver, int64_t uses) {
  Scratch s;
  s.item_of_use = carver.take<int32_t>(uses);
  s.sorted_key = carver.take<int32_t>(uses);
  s.argsort = carver.take<std::byte>(argsort_scratch_bytes(uses));
  return s;
}

// The numbers of key, below keys, grouped by it.
void group(VectorView<const int32_t> key, int64_t keys, VectorView<int64_t> start,
           VectorView<int32_t> members, const Scratch& scratch, Stream stream) {
  const VectorView<int32_t> sorted_key(scratch.sorted_key.data, key.size);
  argsort(key, std::bit_width(uint64_t(keys - 1)), sorted_key, members, scratch.argsort, stream);
  launch(find_starts, unsigned(ceil_div(start.size, kThreads)), kThreads, 0, stream, sorted_key,
         start);
}

void group(const BatchView& batch, const Scratch& scratch, Stream stream) {
  group(batch.user, batch.rows_of_user().rows, batch.user_start, batch.user_row, scratch, stream);
  group(scratch.item_of_use, batch.uses_of_item().rows, batch.item_start, batch.item_use, scratch,
        stream);
}

// scratch must have draw_batch_scratch_bytes.
Scratch scratch_of(const BatchView& batch, VectorView<std::byte> scratch) {
  require_scratch(scratch, draw_batch_scratch_bytes(batch.rows(), batch.negatives()),
                  "sampler: scratch must have draw_batch_scratch_bytes, aligned to 256");
  Carver carver(scratch.data);
  return lay_out(carver, batch.item_use.size);
}

template <class Id>
void launch_take(MatrixView<const Id> given, int64_t count, MatrixView<int32_t> ids,
                 double* loss_sum, Stream stream) {
  require_id_shapes(given, count, ids);
  launch(take<Id>, unsigned(ceil_div(ids.rows * ids.cols, kThreads)), kThreads, 0, stream, given,
         count, ids, loss_sum);
}

}  // namespace

void take_ids(MatrixView<const int32_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum, Stream stream) {
  launch_take(given, count, ids, loss_sum, stream);
}
void take_ids(MatrixView<const int64_t> given, int64_t count, MatrixView<int32_t> ids,
              double* loss_sum, Stream stream) {
  launch_take(given, count, ids, loss_sum, stream);
}

int64_t draw_batch_scratch_bytes(int64_t rows, int64_t negatives) {
  Carver carver(nullptr);
  lay_out(carver, rows * (1 + negatives));
  return carver.bytes();
}

void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                const BatchView& batch, VectorView<std::byte> scratch, Stream stream) {
  require_sampler_shapes(from, batch);
  const Scratch s = scratch_of(batch, scratch);
  const int words_of_use = words_of_negative(from);
  const int64_t calls = batch.rows() * ceil_div(1 + batch.negatives(), kWords / words_of_use);
  launch(draw_rows, unsigned(ceil_div(batch.rows(), kRowThreads)), kRowThreads, 0, stream, from,
         clock, ahead, batch);
  launch(words_of_use == 1 ? draw_negatives<1> : draw_negatives<2>,
         unsigned(ceil_div(calls, kThreads)), kThreads, 0, stream, from, clock, ahead, batch,
         s.item_of_use.data);
  group(batch, s, stream);
}

void group_batch(const BatchView& batch, VectorView<std::byte> scratch, Stream stream) {
  require_batch_shapes(batch);
  const Scratch s = scratch_of(batch, scratch);
  launch(list_uses, unsigned(ceil_div(batch.item_use.size, kThreads)), kThreads, 0, stream, batch,
         s.item_of_use.data);
  group(batch, s, stream);
}

void advance_clock(TrainingClock* clock, Stream stream) { launch(advance, 1, 1, 0, stream, clock); }

}  // namespace rec::cuda
