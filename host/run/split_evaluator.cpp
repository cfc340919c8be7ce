#include "host/run/split_evaluator.h"

#include "host/run/model_of_config.h"

namespace rec {

SplitEvaluator::SplitEvaluator(Backend& backend, const Dataset& data, std::string mask)
    : data_(data),
      mask_(std::move(mask)),
      train_(backend, data.train.view()),
      valid_(backend, data.valid.view()),
      test_(backend, data.test.view()) {}

CsrView SplitEvaluator::view(Split split) const {
  return (split == Split::train ? train_ : split == Split::valid ? valid_ : test_).view();
}

Evaluation SplitEvaluator::evaluate(Ranker& ranker, Split split,
                                    std::vector<int64_t> cutoffs) const {
  std::vector<CsrView> masks;
  for (Split masked : masked_splits(split, mask_)) masks.push_back(view(masked));
  return rec::evaluate(ranker, data_.split(split).view(), masks, std::move(cutoffs));
}

std::string SplitEvaluator::masked_text(Split split) const {
  std::string text;
  for (Split masked : masked_splits(split, mask_))
    text += (text.empty() ? "" : "+") + split_name(masked);
  return text;
}

}  // namespace rec
