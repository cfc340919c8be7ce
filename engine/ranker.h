// A ranker fills top-k lists for chosen users:
// the one way in which models and baselines are evaluated.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/backend.h"
#include "engine/buffer.h"
#include "engine/graph.h"
#include "kernels/common/views.h"

namespace rec {

// Lists on the host: best first, padded with item -1 and score -infinity.
struct TopLists {
  int64_t rows = 0;
  int64_t k = 0;
  std::vector<int32_t> item;  // [rows, k]
  std::vector<float> score;   // [rows, k]

  VectorView<const int32_t> items_of(int64_t row) const { return {item.data() + row * k, k}; }
};

// Puts the masks into the request; throws std::invalid_argument when there are more than kMaxMasks.
void set_masks(RankingRequest& request, const std::vector<CsrView>& masks);

// Lists by inner products: list l takes row user_row[l] of user, and leaves out what row user_id[l]
// of the masks holds (both host ids). user [vectors, dim] and item [items, dim] in backend memory;
// masks and allowed as below.
TopLists rank_rows(Backend& backend, MatrixView<const float> user, MatrixView<const float> item,
                   const std::vector<int32_t>& user_row, const std::vector<int32_t>& user_id,
                   const std::vector<CsrView>& masks, VectorView<const uint8_t> allowed, int64_t k);

class Ranker {
 public:
  virtual ~Ranker() = default;
  // users (host ids); masks: CSRs in backend memory whose items are left out, at most kMaxMasks;
  // allowed (backend memory): one flag per item, or empty.
  virtual TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                        VectorView<const uint8_t> allowed, int64_t k) = 0;
  // The scores of chosen items alone, masked by nothing. items (host): [users.size(), items], row r
  // those wanted for users[r]. One score for each entry, in their order. Throws std::domain_error
  // naming the first that is not finite.
  virtual std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) = 0;
};

// Ranks by the inner product of a user's and an item's vector: every model, popularity (width 1).
class VectorRanker final : public Ranker {
 public:
  // user [users, dim] and item [items, dim] in backend memory, which must outlive the ranker.
  VectorRanker(Backend& backend, MatrixView<const float> user, MatrixView<const float> item);
  // Of so many lists of k: how many are in backend memory at once, and the bytes they take there.
  static int64_t lists_at_once(int64_t lists, int64_t k);
  static int64_t bytes_needed(int64_t lists, int64_t k);
  TopLists rank(const std::vector<int32_t>& users, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override;
  // Inner products summed in double and rounded once: the same on every backend.
  std::vector<float> scores(const std::vector<int32_t>& users, CsrView items) override;

 private:
  Backend& backend_;
  MatrixView<const float> user_, item_;
};

}  // namespace rec
