#include "engine/ranker.h"

#include <algorithm>
#include <cmath>

namespace rec {
namespace {

// Lists held in backend memory at once: enough that a backend with
// many threads has work for all of them to the end.
constexpr int64_t kListBytes = int64_t{64} << 20;
constexpr int64_t kFewestLists = 1024;
constexpr int64_t kEntryBytes = sizeof(int32_t) + sizeof(float);
constexpr int64_t kRowAndId = 2 * sizeof(int32_t);

}  // namespace

void set_masks(RankingRequest& request, const std::vector<CsrView>& masks) {
  require(int64_t(masks.size()) <= kMaxMasks, "ranker: too many masks");
  request.masks = 0;
  for (CsrView mask : masks) request.mask[request.masks++] = mask;
}

TopLists rank_rows(Backend& backend, MatrixView<const float> user, MatrixView<const float> item,
                   const std::vector<int32_t>& user_row, const std::vector<int32_t>& user_id,
                   const std::vector<CsrView>& masks, VectorView<const uint8_t> allowed,
                   int64_t k) {
  require(k > 0, "ranker: a list needs room for at least one item");
  require(user_row.size() == user_id.size(), "ranker: one user id per list");
  TopLists lists{static_cast<int64_t>(user_row.size()), k, {}, {}};
  lists.item.resize(user_row.size() * static_cast<size_t>(k));
  lists.score.resize(lists.item.size());

  const int64_t chunk = VectorRanker::lists_at_once(lists.rows, k);
  Array<int32_t> row(backend, chunk), id(backend, chunk);
  Matrix<int32_t> top_item(backend, chunk, k);
  Matrix<float> top_score(backend, chunk, k);
  for (int64_t first = 0; first < lists.rows; first += chunk) {
    const int64_t count = std::min(chunk, lists.rows - first);
    const size_t id_bytes = sizeof(int32_t) * static_cast<size_t>(count);
    backend.upload(row.data(), user_row.data() + first, id_bytes);
    backend.upload(id.data(), user_id.data() + first, id_bytes);
    RankingRequest request;
    request.user = user;
    request.item = item;
    request.user_row = {row.data(), count};
    request.user_id = {id.data(), count};
    set_masks(request, masks);
    request.allowed = allowed;
    backend.rank(request, top_item.view().rows_from(0, count),
                 top_score.view().rows_from(0, count));
    const size_t values = static_cast<size_t>(count * k);
    backend.download(lists.item.data() + first * k, top_item.data(), sizeof(int32_t) * values);
    backend.download(lists.score.data() + first * k, top_score.data(), sizeof(float) * values);
  }
  return lists;
}

VectorRanker::VectorRanker(Backend& backend, MatrixView<const float> user,
                           MatrixView<const float> item)
    : backend_(backend), user_(user), item_(item) {}

int64_t VectorRanker::lists_at_once(int64_t lists, int64_t k) {
  return std::min(std::max(kFewestLists, kListBytes / (k * kEntryBytes)), lists);
}

int64_t VectorRanker::bytes_needed(int64_t lists, int64_t k) {
  return lists_at_once(lists, k) * (k * kEntryBytes + kRowAndId);
}

TopLists VectorRanker::rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                            VectorView<const uint8_t> allowed, int64_t k) {
  return rank_rows(backend_, user_, item_, users, users, masks, allowed, k);
}

std::vector<float> VectorRanker::scores(const std::vector<int32_t>& users, CsrView items) {
  const std::vector<float> user = to_host(backend_, user_), item = to_host(backend_, item_);
  std::vector<float> scores(size_t(items.row_start[items.rows]));
  for (int64_t r = 0; r < items.rows; ++r)
    for (int64_t e = items.row_start[r]; e < items.row_start[r + 1]; ++e) {
      double sum = 0;
      for (int64_t c = 0; c < user_.cols; ++c)
        sum += double(user[size_t(users[size_t(r)] * user_.cols + c)]) *
               double(item[size_t(items.col[e] * item_.cols + c)]);
      if (!std::isfinite(float(sum))) refuse_ranking_score(r, items.col[e]);
      scores[size_t(e)] = float(sum);
    }
  return scores;
}

}  // namespace rec
