// Evaluates a model on every dataset it is trained on: each domain's users among the items of their
// own domain.
#pragma once
#include <string>
#include <vector>

#include "engine/representations.h"
#include "host/dataset/joint_dataset.h"
#include "host/run/split_evaluator.h"

namespace rec {

class DomainEvaluator {
 public:
  // data must outlive this. mask: as for SplitEvaluator.
  DomainEvaluator(Backend& backend, const JointDataset& data, const std::string& mask);

  // Bytes of all masks in backend memory.
  static int64_t bytes_needed(const JointDataset& data);

  // Valid as long as this.
  struct Result {
    const Dataset* domain;
    const SplitEvaluator* evaluator;  // the domain's
    Evaluation evaluation;
  };
  // One for each domain that has the split, in order; of: of JointDataset's whole.
  std::vector<Result> evaluate(const Representations& of, Split split,
                               const std::vector<int64_t>& cutoffs) const;

 private:
  Backend& backend_;
  const JointDataset& data_;
  std::vector<SplitEvaluator> evaluator_;
};

// The mean over the domains, each counted once, per cut-off; results: one at least.
std::vector<MetricValues> macro_average(const std::vector<DomainEvaluator::Result>& results);

}  // namespace rec
