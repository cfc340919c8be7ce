// A trained model that serves: lists, vectors and metrics by the engine's numbers of users and items.
// Prints nothing. The commands recommend, similar and export are made of it.
//
// Wrong requests throw std::invalid_argument: a number that is no user's or item's, k below 1,
// vectors of another width, allowed flags that are not one an item. What a list needs beside the
// model is made when it is first asked for and kept; so one thread at a time.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "engine/graph.h"
#include "engine/intention.h"
#include "engine/new_user.h"
#include "engine/ranker.h"
#include "host/run/loaded_run.h"

namespace rec {

// What lists hold.
struct ListRequest {
  int64_t k = 10;  // items a list; all where there are fewer
  // What a user has in these splits is left out. For a history: itself, unless this is empty.
  std::vector<Split> leave_out = {Split::train, Split::valid, Split::test};
  std::vector<uint8_t> allowed = {};  // one flag an item; empty: all
};

// Where a list moves to, and how far.
struct Intention {
  MatrixView<const float> query;  // language vectors: [1, width] for all lists, or one a list
  double alpha = 0;               // from 0 to 1
  bool exact = false;             // by propagating again, instead of the closed form
};

class Recommender {
 public:
  explicit Recommender(LoadedRun run);
  Recommender(const Recommender&) = delete;
  Recommender& operator=(const Recommender&) = delete;

  const LoadedRun& run() const { return run_; }
  const Dataset& data() const { return run_.data; }

  TopLists for_users(const std::vector<int32_t>& users, const ListRequest& request);
  // The model must read language vectors, as for histories.
  TopLists for_users_towards(const std::vector<int32_t>& users, const Intention& intention,
                             const ListRequest& request);
  // [people, items], none of them empty, repeats counted once.
  TopLists for_histories(const std::vector<std::vector<int32_t>>& histories, NewUserGraph graph,
                         const ListRequest& request);
  // The nearest other items to each; of the request, leave_out means nothing.
  TopLists similar_items(const std::vector<int32_t>& items, const ListRequest& request);

  // What scores are inner products of, on the host: [users, dim] and [items, dim].
  int64_t dim() const { return run_.model->representations().scored().cols; }
  std::vector<float> user_vectors();
  std::vector<float> item_vectors();

  // truth (host): [users, items], rows ascending. Lists leave out what users have in the splits.
  Evaluation evaluate(CsrView truth, const std::vector<Split>& leave_out,
                      const std::vector<int64_t>& cutoffs);

 private:
  // Lists towards queries, of users who leave these splits out, and of these items.
  struct IntentionLists {
    std::vector<Split> leave_out;
    std::vector<uint8_t> allowed;
    IntentionRanker ranker;
  };

  VectorRanker ranker() const;
  // In backend memory.
  std::vector<CsrView> masks(const std::vector<Split>& splits);
  NewUsers& new_users();
  IntentionRanker& intention_ranker(const ListRequest& request);
  int64_t list_length(const ListRequest& request) const;

  LoadedRun run_;
  std::map<Split, DeviceCsr> mask_;
  std::optional<NewUsers> new_users_;
  std::optional<IntentionLists> intention_;
};

}  // namespace rec
