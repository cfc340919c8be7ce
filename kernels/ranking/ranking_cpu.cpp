#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/gemm.h"
#include "kernels/common/simd.h"
#include "kernels/ranking/ranking.h"

namespace rec::cpu {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr int64_t kTileBytes = 1 << 20;  // scores of one tile of lists: half of a common L2
constexpr int64_t kMostLists = 64;       // lists of one tile
constexpr int64_t kChunk = 32;           // scores that share one maximum

// The largest score of each chunk, and whether any score of the row is NaN.
REC_SIMD_CLONES bool chunk_maxima(const float* score, int64_t items, float* maximum) {
  int32_t nan = 0;
  for (int64_t first = 0; first < items; first += kChunk) {
    const int64_t n = std::min(kChunk, items - first);
    float largest = kMasked;
#pragma omp simd reduction(max : largest) reduction(| : nan)
    for (int64_t c = 0; c < n; ++c) {
      const float s = score[first + c];
      largest = largest > s ? largest : s;
      nan |= s != s;
    }
    maximum[first / kChunk] = largest;
  }
  return nan != 0;
}

struct Candidate {
  float score;
  int32_t item;
};
bool better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

// The k best of one row. The k-th largest chunk maximum is no larger than the k-th largest score, because
// k chunks hold a score at least as large: what is below it cannot be on the list, and few are above.
void top_of_row(const float* score, int64_t items, const float* maximum, std::vector<float>& order,
                std::vector<Candidate>& candidates, VectorView<int32_t> top_item, float* top_score) {
  const int64_t k = top_item.size, chunks = (items + kChunk - 1) / kChunk;
  float bound = std::numeric_limits<float>::lowest();
  if (chunks > k) {
    order.assign(maximum, maximum + chunks);
    std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), std::greater<float>());
    bound = std::max(bound, order[size_t(k - 1)]);
  }
  candidates.clear();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    if (!(maximum[chunk] >= bound)) continue;
    const int64_t end = std::min(items, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; ++i)
      if (score[i] >= bound) candidates.push_back({score[i], int32_t(i)});
  }
  const int64_t found = std::min(k, int64_t(candidates.size()));
  std::partial_sort(candidates.begin(), candidates.begin() + found, candidates.end(), better);
  for (int64_t c = 0; c < k; ++c) {
    top_item[c] = c < found ? candidates[size_t(c)].item : -1;
    top_score[c] = c < found ? candidates[size_t(c)].score : kMasked;
  }
}

}  // namespace

void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
          MatrixView<float> top_score) {
  require_ranking_shapes(request, top_item, top_score);
  const int64_t items = request.item.rows, dim = request.item.cols, lists = request.user_row.size;
  const int64_t tile_lists =
      std::clamp<int64_t>(kTileBytes / (4 * std::max<int64_t>(items, 1)), 1, kMostLists);
  const int64_t tiles = (lists + tile_lists - 1) / tile_lists;
  std::atomic<int64_t> nan_list{-1};
#pragma omp parallel
  {
    std::vector<float> users(static_cast<size_t>(tile_lists * dim));
    std::vector<float> scores(static_cast<size_t>(tile_lists * items));
    std::vector<float> maxima(static_cast<size_t>(items / kChunk + 1)), order;
    std::vector<Candidate> candidates;
#pragma omp for schedule(dynamic, 1)
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t first = t * tile_lists, rows = std::min(tile_lists, lists - first);
      const MatrixView<float> tile(scores.data(), rows, items);
      const MatrixView<float> vectors(users.data(), rows, dim);
      for (int64_t r = 0; r < rows; ++r)
        std::copy_n(request.user.row(request.user_row[first + r]), dim, vectors.row(r));
      gemm_a_bt(vectors, request.item, Into::overwrite, tile);
      for (int64_t r = 0; r < rows; ++r) {
        float* score = tile.row(r);
        const int32_t id = request.user_id[first + r];
        if (chunk_maxima(score, items, maxima.data())) nan_list = first + r;
        bool masked = false;
        for (int m = 0; m < request.masks; ++m) {
          const int32_t* seen = request.mask[m].row(id);
          for (int64_t e = 0; e < request.mask[m].degree(id); ++e) score[seen[e]] = kMasked;
          masked |= request.mask[m].degree(id) > 0;
        }
        for (int64_t i = 0; i < request.allowed.size; ++i)
          if (!request.allowed[i]) score[i] = kMasked;
        if (masked || request.allowed.size > 0) chunk_maxima(score, items, maxima.data());
        top_of_row(score, items, maxima.data(), order, candidates,
                   {top_item.row(first + r), top_item.cols}, top_score.row(first + r));
      }
    }
  }
  if (nan_list >= 0)
    throw std::domain_error("ranking: a score of list " + std::to_string(nan_list.load()) +
                            " is not a number; the user's or an item's vector is not finite");
}

}  // namespace rec::cpu
