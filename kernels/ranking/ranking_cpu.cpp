#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/ceil_div.h"
#include "kernels/common/packed_product.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/ranking/ranking.h"
#include "kernels/ranking/ranking_key.h"

namespace rec::cpu {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr int64_t kFewestLanes = 256;
constexpr int64_t kLanesTogether = 32;
constexpr int64_t kFewKeys = 64;  // up to here comparing all pairs beats std::sort

// Items whose vectors are packed and ranked together: at most 4 MiB of them, where they are wide.
int64_t panel_items_of(int64_t items, int64_t dim) {
  constexpr int64_t kFloats = int64_t{1} << 20, kFewest = 256, kMost = 5120;
  const int64_t most = std::clamp(kFloats / std::max<int64_t>(dim, 1), kFewest, kMost);
  return ceil_div(items, std::max<int64_t>(1, ceil_div(items, most)));
}

// Lists of a tile, whose scores one thread makes and uses up: few enough for its scores to stay in
// L2, many enough to share what it costs to read the packed items.
int64_t tile_lists_of(int64_t lists) {
  constexpr int64_t kTilesPerThread = 4, kStep = 12, kMost = 48;
  const int64_t share = ceil_div(lists, kTilesPerThread * omp_get_max_threads());
  return std::clamp(ceil_div(share, kStep) * kStep, kStep, kMost);
}

using Key = RankingKey;

// The bits of the largest |value|: at least those of infinity when any value is not finite.
REC_SIMD_CLONES uint32_t largest_magnitude(const float* value, int64_t n) {
  uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t c = 0; c < n; ++c) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(value[c]) & 0x7FFFFFFFu;
    largest = largest > magnitude ? largest : magnitude;
  }
  return largest;
}

float largest_magnitude(MatrixView<const float> m) {
  // Short rows without gaps are looked at together.
  constexpr int64_t kValues = 4096;
  const int64_t together =
      m.stride == m.cols ? std::max<int64_t>(1, kValues / std::max<int64_t>(m.cols, 1)) : 1;
  uint32_t largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest)
  for (int64_t r = 0; r < m.rows; r += together)
    largest =
        std::max(largest, largest_magnitude(m.row(r), std::min(together, m.rows - r) * m.cols));
  return std::bit_cast<float>(largest);
}

// maximum[l] = the largest of score[l], score[l + lanes], score[l + 2 lanes], ...; lanes <= n, and
// lanes is a multiple of kLanesTogether
REC_SIMD_CLONES void lane_maxima(const float* score, int64_t n, int64_t lanes, float* maximum) {
  for (int64_t l = 0; l < lanes; l += kLanesTogether) {
    float largest[kLanesTogether];
    for (int64_t j = 0; j < kLanesTogether; ++j) largest[j] = score[l + j];
    int64_t i = l + lanes;
    for (; i + kLanesTogether <= n; i += lanes) {
#pragma omp simd
      for (int64_t j = 0; j < kLanesTogether; ++j)
        largest[j] = largest[j] > score[i + j] ? largest[j] : score[i + j];
    }
    for (int64_t j = 0; j < std::min(kLanesTogether, n - i); ++j)
      largest[j] = largest[j] > score[i + j] ? largest[j] : score[i + j];
    for (int64_t j = 0; j < kLanesTogether; ++j) maximum[l + j] = largest[j];
  }
}

// The k-th largest of kFewKeys values: the smallest of those that fewer than k values exceed.
REC_SIMD_CLONES float kth_largest_of_few(const float* value, int32_t k) {
  int32_t above[kFewKeys] = {};
  for (int64_t i = 0; i < kFewKeys; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < kFewKeys; ++j) above[j] += int32_t(value[i] > value[j]);
  }
  float smallest = std::numeric_limits<float>::infinity();
#pragma omp simd reduction(min : smallest)
  for (int64_t j = 0; j < kFewKeys; ++j) {
    const float kept = above[j] < k ? value[j] : std::numeric_limits<float>::infinity();
    smallest = smallest < kept ? smallest : kept;
  }
  return smallest;
}

// Puts the n <= kFewKeys different keys in descending order.
REC_SIMD_CLONES void sort_few(Key* key, int64_t n) {
  uint64_t above[kFewKeys] = {};
  for (int64_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) above[j] += uint64_t(key[i] > key[j]);
  }
  Key sorted[kFewKeys];
  for (int64_t j = 0; j < n; ++j) sorted[above[j]] = key[j];
  std::copy_n(sorted, n, key);
}

// Puts the places of the values that reach the bound into found; returns how many. found has room
// for all that are looked at.
int64_t reaching(const float* value, int64_t n, float bound, int32_t* found) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    found[count] = int32_t(i);
    count += value[i] >= bound;
  }
  return count;
}

// The same for some lanes only: lane[f], lane[f] + lanes, lane[f] + 2 lanes, ... for f < those.
int64_t reaching(const float* value, int64_t n, int64_t lanes, const int32_t* lane, int64_t those,
                 float bound, int32_t* found) {
  int64_t count = 0;
  for (int64_t f = 0; f < those; ++f) {
    for (int64_t i = lane[f]; i < n; i += lanes) {
      found[count] = int32_t(i);
      count += value[i] >= bound;
    }
  }
  return count;
}

// The best k candidates of one list among the items of one panel and those it already had.
class Selector {
 public:
  Selector(int64_t k, int64_t panel_items)
      : k_(k),
        lanes_(std::max<int64_t>(kFewestLanes, int64_t(std::bit_ceil(uint64_t(4 * k))))),
        maximum_(size_t(lanes_)),
        order_(size_t(lanes_)),
        lane_(size_t(lanes_)),
        place_(size_t(panel_items)),
        key_(size_t(k + panel_items)) {}

  // score [n]: of items first .. first + n, kMasked where the item may not be shown. top_item [k],
  // top_score [k]: the `have` candidates found so far, best first, updated; returns how many there
  // are now.
  int64_t select(const float* score, int64_t n, int64_t first, int32_t* top_item, float* top_score,
                 int64_t have) {
    // What is on the list is at least as good as the last of k that are known.
    float bound = have == k_ ? top_score[k_ - 1] : std::numeric_limits<float>::lowest();
    int64_t places;
    if (lanes_ < n) {
      lane_maxima(score, n, lanes_, maximum_.data());
      // A full list's bound is usually high enough already.
      int64_t lanes = have == k_ ? reaching(maximum_.data(), lanes_, bound, lane_.data()) : lanes_;
      if (lanes > 2 * k_) lanes = lanes_bound(bound);
      places = reaching(score, n, lanes_, lane_.data(), lanes, bound, place_.data());
    } else {
      places = reaching(score, n, bound, place_.data());
    }
    for (int64_t c = 0; c < have; ++c) key_[size_t(c)] = key_of(top_score[c], top_item[c]);
    for (int64_t f = 0; f < places; ++f) {
      const int64_t i = place_[size_t(f)];
      key_[size_t(have + f)] = key_of(score[i], first + i);
    }
    const int64_t keys = have + places, kept = std::min(k_, keys);
    if (keys <= kFewKeys) {
      sort_few(key_.data(), keys);
    } else {
      const auto begin = key_.begin(), end = begin + keys;
      if (keys > kept) std::nth_element(begin, begin + (kept - 1), end, std::greater<Key>());
      std::sort(begin, begin + kept, std::greater<Key>());
    }
    for (int64_t c = 0; c < kept; ++c) {
      top_item[c] = item_of(key_[size_t(c)]);
      top_score[c] = score_of(key_[size_t(c)]);
    }
    return kept;
  }

 private:
  // Raises bound to the k-th largest maximum: k lanes hold a score at least as large, so no score
  // below it is among the best k. Lists the lanes that reach the bound; returns how many.
  int64_t lanes_bound(float& bound) {
    if (3 * k_ <= kFewKeys) {
      // Lanes of lanes: few enough to compare all pairs.
      float folded[kFewKeys];
      int32_t fold[kFewKeys];
      lane_maxima(maximum_.data(), lanes_, kFewKeys, folded);
      bound = std::max(bound, kth_largest_of_few(folded, int32_t(k_)));
      const int64_t folds = reaching(folded, kFewKeys, bound, fold);
      return reaching(maximum_.data(), lanes_, kFewKeys, fold, folds, bound, lane_.data());
    }
    order_ = maximum_;
    std::nth_element(order_.begin(), order_.begin() + (k_ - 1), order_.end(),
                     std::greater<float>());
    bound = std::max(bound, order_[size_t(k_ - 1)]);
    return reaching(maximum_.data(), lanes_, bound, lane_.data());
  }

  int64_t k_, lanes_;
  std::vector<float> maximum_, order_;
  std::vector<int32_t> lane_, place_;
  std::vector<Key> key_;
};

void mask_row(CsrView mask, int64_t user, int64_t first, int64_t n, float* score) {
  const int32_t* item = mask.row(user);
  const int32_t* const end = item + mask.degree(user);
  if (first > 0) item = std::lower_bound(item, end, first);
  for (; item != end && *item < first + n; ++item) score[*item - first] = kMasked;
}

// The smallest place list * items + item whose score is not finite, or places when there is none.
int64_t first_not_finite(MatrixView<const float> tile, int64_t first_list, int64_t first_item,
                         int64_t items, int64_t places) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    if (std::isfinite(std::bit_cast<float>(largest_magnitude(tile.row(r), tile.cols)))) continue;
    int64_t c = 0;
    while (std::isfinite(tile(r, c))) ++c;
    return (first_list + r) * items + first_item + c;
  }
  return places;
}

// What a thread needs for a tile.
struct TileMemory {
  TileMemory(int64_t lists, int64_t stride, int64_t dim, int64_t k)
      : users(make_scratch<float>(lists * dim)),
        scores(make_scratch<float>(lists * stride)),
        selector(k, stride) {}

  Scratch<float> users, scores;  // [lists, dim], [lists, items of a panel]
  Selector selector;
};

}  // namespace

void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
          MatrixView<float> top_score) {
  require_ranking_shapes(request, top_item, top_score);
  const int64_t items = request.item.rows, dim = request.item.cols;
  const int64_t lists = request.user_row.size, k = top_item.cols;
  for (int64_t l = 0; l < lists; ++l) {
    require(request.user_row[l] >= 0 && request.user_row[l] < request.user.rows,
            "ranking: user_row names a vector that does not exist");
    for (int m = 0; m < request.masks; ++m)
      require(request.user_id[l] >= 0 && request.user_id[l] < request.mask[m].rows,
              "ranking: user_id names a user whom a mask does not know");
  }

  // No score can overflow when |user| * |item| * dim is small; only otherwise are scores looked at.
  const double largest = double(largest_magnitude(request.user)) *
                         double(largest_magnitude(request.item)) * double(dim);
  const bool surely_finite = largest < double(std::numeric_limits<float>::max()) / 2;

  std::vector<float> forbidden;
  if (request.allowed.size > 0)
    for (uint8_t allowed : request.allowed) forbidden.push_back(allowed ? 0.0f : kMasked);

  const int64_t panel_items = panel_items_of(items, dim), tile_lists = tile_lists_of(lists);
  const int64_t stride = ceil_div(panel_items, strip_rows()) * strip_rows();  // whole cache lines
  const int64_t places = lists * items;
  int64_t not_finite = places;
  const auto packed = make_scratch<float>(packed_size(panel_items, dim));
  std::vector<int64_t> have(size_t(lists), 0);  // candidates found so far, in the list's results
  std::vector<TileMemory> memory;
  for (int t = 0; t < omp_get_max_threads(); ++t)
    memory.emplace_back(std::min(tile_lists, lists), stride, dim, k);
#pragma omp parallel
  {
    TileMemory& own = memory[size_t(omp_get_thread_num())];
    for (int64_t panel = 0; panel < items; panel += panel_items) {
      const int64_t n = std::min(panel_items, items - panel);
      const MatrixView<const float> item = request.item.rows_from(panel, n);
#pragma omp for schedule(static)
      for (int64_t s = 0; s < ceil_div(n, strip_rows()); ++s) pack_strip(item, s, packed.get());
#pragma omp for schedule(dynamic, 1) reduction(min : not_finite)
      for (int64_t first = 0; first < lists; first += tile_lists) {
        const int64_t rows = std::min(tile_lists, lists - first);
        const MatrixView<float> vectors(own.users.get(), rows, dim);
        for (int64_t r = 0; r < rows; ++r)
          std::copy_n(request.user.row(request.user_row[first + r]), dim, vectors.row(r));
        const MatrixView<float> tile(own.scores.get(), rows, n, stride);
        multiply_packed(vectors, {packed.get(), n, dim}, tile);
        if (!surely_finite)
          not_finite = std::min(not_finite, first_not_finite(tile, first, panel, items, places));
        if (not_finite < places) continue;  // refused below; NaN has no order to select by
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t l = first + r;
          float* score = tile.row(r);
          for (int m = 0; m < request.masks; ++m)
            mask_row(request.mask[m], request.user_id[l], panel, n, score);
          if (!forbidden.empty()) add_scaled(1.0f, forbidden.data() + panel, score, n);
          have[size_t(l)] = own.selector.select(score, n, panel, top_item.row(l), top_score.row(l),
                                                have[size_t(l)]);
        }
      }
    }
#pragma omp for schedule(static)
    for (int64_t l = 0; l < lists; ++l) {
      std::fill(top_item.row(l) + have[size_t(l)], top_item.row(l) + k, -1);
      std::fill(top_score.row(l) + have[size_t(l)], top_score.row(l) + k, kMasked);
    }
  }
  if (not_finite < places) refuse_ranking_score(not_finite / items, not_finite % items);
}

}  // namespace rec::cpu
