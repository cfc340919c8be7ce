// Users the model never saw, served from their histories. On the frozen graph, for a history h of n
// items:
//
//   e_u = (e0_u + sum_{i in h} S_i / sqrt(n (d_i + 1))) / (K + 1),    S_i = sum_{k < K} e_i^(k)
//
// with e0_u the projected mean of her items' language vectors and d_i the items' training degrees;
// the items' vectors stay as they are. On the graph rebuilt with her as one more user, every node
// within K steps of her moves too. Her own vector is the same for K <= 1; from K = 1 on her items'
// are not, and for K >= 2 hers is not either.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/graph.h"
#include "engine/host_csr.h"
#include "engine/model.h"
#include "engine/ranker.h"

namespace rec {

// A history is item ids, ascending, without repeats, not empty; another is refused with
// std::invalid_argument.
class NewUsers {
 public:
  // The model must read language vectors, have been embedded and stay as it is. z (host):
  // [items, language_width]; train (host): what the model was made with. All must outlive this.
  // Propagates once, however many are served on the frozen graph afterwards.
  NewUsers(Model& model, MatrixView<const float> z, CsrView train);

  // On the frozen graph, of the histories (host) [people, items] named in rows: their vectors that
  // scores are taken of (unit length for cosine), [rows, dim], on the host.
  std::vector<float> vectors(CsrView histories, const std::vector<int32_t>& rows) const;

  // The representations of the graph rebuilt with one person as the user after all others: her
  // vector is the last of user(). Propagates everything; valid until the next call.
  const Representations& rebuilt(VectorView<const int32_t> history);

 private:
  // e0 [rows, dim]
  std::vector<float> initial(CsrView histories, const std::vector<int32_t>& rows) const;

  // What a rebuild works in: users, the new one, items.
  struct Rebuild {
    HostCsr train;  // its last row is replaced
    Matrix<float> e0;
    Representations representations;
  };
  Rebuild make_rebuild() const;

  Model& model_;
  MatrixView<const float> z_;
  CsrView train_;
  std::vector<int64_t> item_degree_;
  std::vector<float> inner_;  // S_i / K, [items, dim]; empty for K = 0
  std::optional<Rebuild> rebuild_;
};

enum class NewUserGraph { frozen, rebuilt };

// Ranks for new users as other rankers do for the model's own: user ids are rows of the histories,
// and masks have a row for each of those too.
class NewUserRanker final : public Ranker {
 public:
  // histories (host): [people, items]. A row that is ranked for must not be empty. users and
  // histories must outlive this.
  NewUserRanker(Model& model, NewUsers& users, CsrView histories, NewUserGraph graph);
  TopLists rank(const std::vector<int32_t>& people, const std::vector<CsrView>& masks,
                VectorView<const uint8_t> allowed, int64_t k) override;
  std::vector<float> scores(const std::vector<int32_t>& people, CsrView items) override;

 private:
  Model& model_;
  NewUsers& users_;
  CsrView histories_;
  NewUserGraph graph_;
};

// The mean over the lists of the share of a's first k items that b has among its first k too.
// Entries that are padding count in neither; a list of a's without items is left out of the mean.
double rank_overlap(const TopLists& a, const TopLists& b, int64_t k);

}  // namespace rec
