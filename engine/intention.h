// Lists moved towards an intention: before propagation the user's e0 goes part of the way to q, the
// projected language vector of a sentence or of an item.
//
//   e0_u' = (1 - alpha) e0_u + alpha q        then propagation and score as usual
//
// Propagation is linear and one row of e0 moves, by delta = alpha (q - e0_u). So every node v moves
// along delta alone, by how much of u reaches it:
//
//   e_v' = e_v + p_v delta                    p = 1/(K+1) sum_{k <= K} A~^k 1_u
//   p_u  = 1/(K+1) sum_{2j <= K} |A~^j 1_u|^2
//
// With K = 2, p_u = (1 + |r_u|^2) / 3, r_u being her row of the normalised graph. Items move that
// are at an odd distance up to K: her own for K <= 2, which are usually left out of a list; from
// K = 3 on also those at distance 3, and so on. A list costs a row, a pass over all items, and the
// corrected scores of the items that moved and may be shown.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/graph.h"
#include "engine/host_csr.h"
#include "engine/model.h"
#include "engine/ranker.h"

namespace rec {

// How much of one user reaches the nodes that a list of hers is made of.
struct Reach {
  double user = 0;             // p_u
  std::vector<int32_t> item;   // those with p_i > 0, ascending
  std::vector<double> weight;  // their p_i
};

class GraphReach {
 public:
  // train (host): [users, items], must outlive this. layers: K.
  GraphReach(CsrView train, int layers);
  Reach of(int32_t user);
  // p_u alone: for K <= 3 without a walk.
  double user(int32_t user);

 private:
  struct Sparse {
    std::vector<int32_t> id;  // ascending
    std::vector<double> value;
  };
  // A~ x, from one side of the graph to the other.
  Sparse hop(const Sparse& x, bool to_items);

  CsrView items_of_user_;
  HostCsr users_of_item_;  // empty for K <= 2, which needs no way back
  int layers_;
  std::vector<double> user_scale_, item_scale_;  // degree^-1/2, 0 without edges
  std::vector<double> sum_;                      // of a hop, by id; zeros between hops
};

class IntentionRanker {
 public:
  // The model must have been embedded and stay as it is; train (host) is what it was made with.
  // masks (host), at most kMaxMasks [users, items]: what lists leave out. allowed (host): one flag
  // an item, or empty. model, train and masks must outlive this.
  IntentionRanker(Model& model, CsrView train, std::vector<CsrView> masks,
                  std::vector<uint8_t> allowed);

  // List l is for users[l] and moves towards row l of query (host) [lists, dim], or towards the one
  // row that all share. project_vectors made them. alpha is from 0 to 1.
  TopLists rank(const std::vector<int32_t>& users, MatrixView<const float> query, double alpha,
                int64_t k);
  // The same, every list by propagating all nodes again.
  TopLists rank_exactly(const std::vector<int32_t>& users, MatrixView<const float> query,
                        double alpha, int64_t k);

 private:
  // A corrected item of a list, and its score.
  struct Scored {
    int32_t item;
    float score;
  };
  // vector [dim] overwritten: what the list's scores are taken of. Returns the items that moved and
  // may be shown, ascending.
  std::vector<Scored> move(int32_t user, const float* query, double alpha, float* vector);
  std::vector<int32_t> shown(const std::vector<int32_t>& items, int32_t user) const;
  TopLists rank_block(const std::vector<int32_t>& users, MatrixView<const float> query,
                      double alpha, int64_t k);
  void require_requests(const std::vector<int32_t>& users, MatrixView<const float> query) const;
  std::vector<CsrView> device_masks() const;

  Model& model_;
  std::vector<CsrView> masks_;
  std::vector<uint8_t> allowed_;
  std::vector<DeviceCsr> device_mask_;
  Array<uint8_t> device_allowed_;
  GraphReach reach_;
  // Nothing that moves is ever shown: K <= 2, and lists leave out what users have in train.
  bool moves_no_shown_item_;
  std::vector<float> e0_, e_;  // [users, dim] and [nodes, dim], host
};

}  // namespace rec
