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
#include "kernels/common/gemm.h"
#include "kernels/common/row_ops.h"
#include "kernels/common/scratch.h"
#include "kernels/common/simd.h"
#include "kernels/ranking/ranking.h"
#include "kernels/ranking/ranking_key.h"

namespace rec::cpu {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr int64_t kTileItems = 4096;
constexpr int64_t kFewestLanes = 256;
constexpr int64_t kFewKeys = 64;  // up to here comparing all pairs beats std::sort

// Lists of a tile, whose scores one thread makes and uses up. Many, because OpenBLAS packs the
// items anew for each tile, but enough tiles to share out. By the number of lists alone: how they
// are cut can show in the last bits of a score.
int64_t tile_lists_of(int64_t lists) {
  constexpr int64_t kTiles = 16, kStep = 16, kMost = 384;
  return std::clamp(ceil_div(ceil_div(lists, kTiles), kStep) * kStep, kStep, kMost);
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

// maximum[l] = the largest of score[l], score[l + lanes], score[l + 2 lanes], ...
REC_SIMD_CLONES void lane_maxima(const float* score, int64_t n, int64_t lanes, float* maximum) {
  for (int64_t l = 0; l < lanes; ++l) maximum[l] = score[l];
  for (int64_t first = lanes; first < n; first += lanes) {
    const int64_t here = std::min(lanes, n - first);
#pragma omp simd
    for (int64_t l = 0; l < here; ++l) {
      const float s = score[first + l];
      maximum[l] = maximum[l] > s ? maximum[l] : s;
    }
  }
}

// The k-th largest value, k <= n <= kFewKeys: the smallest of those that fewer than k values
// exceed.
REC_SIMD_CLONES float kth_largest_of_few(const float* value, int32_t n, int32_t k) {
  int32_t above[kFewKeys] = {};
  for (int32_t i = 0; i < n; ++i) {
#pragma omp simd
    for (int32_t j = 0; j < n; ++j) above[j] += int32_t(value[i] > value[j]);
  }
  float smallest = std::numeric_limits<float>::infinity();
#pragma omp simd reduction(min : smallest)
  for (int32_t j = 0; j < n; ++j) {
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

// Appends l to found for each lane whose maximum reaches the bound; returns how many.
int64_t lanes_reaching(const float* maximum, int64_t lanes, float bound, int32_t* found) {
  int64_t n = 0;
  for (int64_t l = 0; l < lanes; ++l) {
    found[n] = int32_t(l);
    n += maximum[l] >= bound;
  }
  return n;
}

// The best k candidates of one list among the items of one panel and those it already had.
class Selector {
 public:
  Selector(int64_t k, int64_t panel_items)
      : k_(k),
        lanes_(std::max<int64_t>(kFewestLanes, int64_t(std::bit_ceil(uint64_t(4 * k))))),
        maximum_(size_t(lanes_)),
        lane_(size_t(lanes_)),
        key_(size_t(k + panel_items)) {}

  // score [n]: of items first .. first + n, kMasked where the item may not be shown. best [k]: the
  // keys found so far, descending, updated; returns how many there are now.
  int64_t select(const float* score, int64_t n, int64_t first, Key* best, int64_t have) {
    std::copy_n(best, have, key_.data());
    int64_t keys = have;
    // What is on the list is at least as good as the last of k that are known.
    float bound = have == k_ ? score_of(best[k_ - 1]) : std::numeric_limits<float>::lowest();
    if (lanes_ < n) {
      lane_maxima(score, n, lanes_, maximum_.data());
      // A full list's bound is usually high enough already.
      int64_t lanes =
          have == k_ ? lanes_reaching(maximum_.data(), lanes_, bound, lane_.data()) : lanes_;
      if (lanes > 2 * k_) lanes = lanes_bound(bound);
      for (int64_t f = 0; f < lanes; ++f) {
        for (int64_t i = lane_[size_t(f)]; i < n; i += lanes_) {
          key_[size_t(keys)] = key_of(score[i], first + i);
          keys += score[i] >= bound;
        }
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        key_[size_t(keys)] = key_of(score[i], first + i);
        keys += score[i] >= bound;
      }
    }
    const int64_t kept = std::min(k_, keys);
    if (keys <= kFewKeys) {
      sort_few(key_.data(), keys);
    } else {
      const auto begin = key_.begin(), end = begin + keys;
      if (keys > kept) std::nth_element(begin, begin + (kept - 1), end, std::greater<Key>());
      std::sort(begin, begin + kept, std::greater<Key>());
    }
    std::copy_n(key_.data(), kept, best);
    return kept;
  }

 private:
  // Raises bound to the k-th largest maximum: k lanes hold a score at least as large, so no score
  // below it is among the best k. Lists the lanes that reach the bound; returns how many.
  int64_t lanes_bound(float& bound) {
    float folded[kFewKeys];
    if (3 * k_ <= kFewKeys) {
      // Lanes of lanes: few enough to compare all pairs.
      lane_maxima(maximum_.data(), lanes_, kFewKeys, folded);
      bound = std::max(bound, kth_largest_of_few(folded, kFewKeys, int32_t(k_)));
    } else {
      order_.assign(maximum_.begin(), maximum_.end());
      std::nth_element(order_.begin(), order_.begin() + (k_ - 1), order_.end(),
                       std::greater<float>());
      bound = std::max(bound, order_[size_t(k_ - 1)]);
    }
    return lanes_reaching(maximum_.data(), lanes_, bound, lane_.data());
  }

  int64_t k_, lanes_;
  std::vector<float> maximum_, order_;
  std::vector<int32_t> lane_;
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
  TileMemory(int64_t lists, int64_t items, int64_t dim, int64_t k)
      : users(make_scratch<float>(lists * dim)),
        scores(make_scratch<float>(lists * items)),
        best(make_scratch<Key>(lists * k)),
        have(size_t(lists)),
        selector(k, items) {}

  std::unique_ptr<float[]> users, scores;  // [lists, dim], [lists, items of a panel]
  std::unique_ptr<Key[]> best;             // [lists, k]
  std::vector<int64_t> have;               // [lists]: how many keys of best are there
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

  const int64_t panels = std::max<int64_t>(1, ceil_div(items, kTileItems));
  const int64_t panel_items = ceil_div(items, panels);
  const int64_t tile_lists = tile_lists_of(lists);
  const int64_t places = lists * items;
  int64_t not_finite = places;
  std::vector<TileMemory> memory;
  for (int t = 0; t < omp_get_max_threads(); ++t)
    memory.emplace_back(tile_lists, panel_items, dim, k);
#pragma omp parallel reduction(min : not_finite)
  {
    TileMemory& own = memory[size_t(omp_get_thread_num())];
#pragma omp for schedule(dynamic, 1)
    for (int64_t first = 0; first < lists; first += tile_lists) {
      const int64_t rows = std::min(tile_lists, lists - first);
      const MatrixView<float> vectors(own.users.get(), rows, dim);
      for (int64_t r = 0; r < rows; ++r)
        std::copy_n(request.user.row(request.user_row[first + r]), dim, vectors.row(r));
      std::fill(own.have.begin(), own.have.end(), 0);
      for (int64_t panel = 0; panel < items; panel += panel_items) {
        const int64_t n = std::min(panel_items, items - panel);
        const MatrixView<float> tile(own.scores.get(), rows, n);
        gemm_a_bt(vectors, request.item.rows_from(panel, n), Into::overwrite, tile);
        if (!surely_finite)
          not_finite = std::min(not_finite, first_not_finite(tile, first, panel, items, places));
        if (not_finite < places) continue;  // refused below; NaN has no order to select by
        for (int64_t r = 0; r < rows; ++r) {
          float* score = tile.row(r);
          for (int m = 0; m < request.masks; ++m)
            mask_row(request.mask[m], request.user_id[first + r], panel, n, score);
          if (!forbidden.empty()) add_scaled(1.0f, forbidden.data() + panel, score, n);
          int64_t& have = own.have[size_t(r)];
          have = own.selector.select(score, n, panel, own.best.get() + r * k, have);
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < k; ++c) {
          const bool found = c < own.have[size_t(r)];
          const Key key = own.best[size_t(r * k + c)];
          top_item(first + r, c) = found ? item_of(key) : -1;
          top_score(first + r, c) = found ? score_of(key) : kMasked;
        }
      }
    }
  }
  if (not_finite < places) refuse_ranking_score(not_finite / items, not_finite % items);
}

}  // namespace rec::cpu
