#include "host/run/domain_evaluator.h"

namespace rec {

DomainEvaluator::DomainEvaluator(Backend& backend, const JointDataset& data,
                                 const std::string& mask)
    : backend_(backend), data_(data) {
  for (const Dataset& part : data.parts()) evaluator_.emplace_back(backend, part, mask);
}

int64_t DomainEvaluator::bytes_needed(const JointDataset& data) {
  int64_t bytes = 0;
  for (const Dataset& part : data.parts()) bytes += SplitEvaluator::bytes_needed(part);
  return bytes;
}

std::vector<DomainEvaluator::Result> DomainEvaluator::evaluate(
    const Representations& of, Split split, const std::vector<int64_t>& cutoffs) const {
  std::vector<Result> results;
  int64_t first_user = 0, first_item = 0;
  for (size_t d = 0; d < evaluator_.size(); ++d) {
    const Dataset& part = data_.parts()[d];
    VectorRanker ranker(backend_, of.user().rows_from(first_user, part.users),
                        of.item().rows_from(first_item, part.items));
    if (part.split(split).entries() > 0)
      results.push_back({&part, &evaluator_[d], evaluator_[d].evaluate(ranker, split, cutoffs)});
    first_user += part.users;
    first_item += part.items;
  }
  return results;
}

std::vector<MetricValues> macro_average(const std::vector<DomainEvaluator::Result>& results) {
  GroupSum sum(results.front().evaluation.cutoffs.size());
  for (const DomainEvaluator::Result& result : results) sum.add(result.evaluation.mean);
  return sum.mean().at;
}

}  // namespace rec
