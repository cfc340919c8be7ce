// Evaluates rankers on a dataset's splits: the masks lie in backend memory once.
#pragma once
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "engine/graph.h"
#include "host/dataset/dataset.h"

namespace rec {

class SplitEvaluator {
 public:
  // data must outlive this. mask: "others" or "train" (host/config).
  SplitEvaluator(Backend& backend, const Dataset& data, std::string mask);

  Evaluation evaluate(Ranker& ranker, Split split, std::vector<int64_t> cutoffs) const;
  // In backend memory: [users, items].
  CsrView view(Split split) const;
  // "train+valid": what a ranking for this split leaves out.
  std::string masked_text(Split split) const;

 private:
  const Dataset& data_;
  std::string mask_;
  DeviceCsr train_, valid_, test_;
};

}  // namespace rec
