// Evaluates rankers on a dataset's splits: the masks lie in backend memory once.
#pragma once
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "engine/graph.h"
#include "host/dataset/dataset.h"

namespace rec {

// Which splits a ranking for `split` leaves out: every other one, or train alone (mask = train).
std::vector<Split> masked_splits(Split split, const std::string& mask);
std::string split_name(Split split);
// "train+valid": what a ranking for this split leaves out.
std::string masked_text(Split split, const std::string& mask);

class SplitEvaluator {
 public:
  // data must outlive this. mask: "others" or "train" (host/config).
  SplitEvaluator(Backend& backend, const Dataset& data, std::string mask);

  // Bytes of the masks in backend memory.
  static int64_t bytes_needed(const Dataset& data);

  Evaluation evaluate(Ranker& ranker, Split split, std::vector<int64_t> cutoffs,
                      const std::vector<int32_t>& group_of_item = {}) const;
  // In backend memory: [users, items].
  CsrView view(Split split) const;

 private:
  const Dataset& data_;
  std::string mask_;
  DeviceCsr train_, valid_, test_;
};

}  // namespace rec
