#include "host/run/split_evaluator.h"

namespace rec {

std::vector<Split> masked_splits(Split split, const std::string& mask) {
  if (mask == "train") return {Split::train};
  return split == Split::test ? std::vector{Split::train, Split::valid}
                              : std::vector{Split::train, Split::test};
}

std::string split_name(Split split) {
  return split == Split::train ? "train" : split == Split::valid ? "valid" : "test";
}

std::string masked_text(Split split, const std::string& mask) {
  std::string text;
  for (Split masked : masked_splits(split, mask))
    text += (text.empty() ? "" : "+") + split_name(masked);
  return text;
}

SplitEvaluator::SplitEvaluator(Backend& backend, const Dataset& data, std::string mask)
    : data_(data),
      mask_(std::move(mask)),
      train_(backend, data.train.view()),
      valid_(backend, data.valid.view()),
      test_(backend, data.test.view()) {}

int64_t SplitEvaluator::bytes_needed(const Dataset& data) {
  int64_t bytes = 0;
  for (const HostCsr* split : {&data.train, &data.valid, &data.test})
    bytes += 8 * (split->rows + 1) + 4 * split->entries();
  return bytes;
}

CsrView SplitEvaluator::view(Split split) const {
  return (split == Split::train ? train_ : split == Split::valid ? valid_ : test_).view();
}

Evaluation SplitEvaluator::evaluate(Ranker& ranker, Split split, std::vector<int64_t> cutoffs,
                                    const std::vector<int32_t>& group_of_item) const {
  std::vector<CsrView> masks;
  for (Split masked : masked_splits(split, mask_)) masks.push_back(view(masked));
  return rec::evaluate(ranker, data_.split(split).view(), masks, std::move(cutoffs), group_of_item);
}

}  // namespace rec
