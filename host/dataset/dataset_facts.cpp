#include "host/dataset/dataset_facts.h"

#include <algorithm>
#include <numeric>

namespace rec {

DegreeFacts degree_facts(std::vector<int64_t> degrees) {
  DegreeFacts facts;
  if (degrees.empty()) return facts;
  std::sort(degrees.begin(), degrees.end());
  for (size_t q = 0; q < DegreeFacts::kQuantiles.size(); ++q)
    facts.at[q] = degrees[size_t(DegreeFacts::kQuantiles[q] * double(degrees.size() - 1))];
  facts.mean =
      double(std::accumulate(degrees.begin(), degrees.end(), int64_t{0})) / double(degrees.size());
  facts.zero = std::count(degrees.begin(), degrees.end(), 0);
  return facts;
}

DatasetFacts facts_of(const Dataset& data) {
  DatasetFacts facts;
  std::vector<int64_t> user_degree(size_t(data.users)), item_degree(size_t(data.items));
  for (int64_t u = 0; u < data.users; ++u) user_degree[size_t(u)] = data.train.view().degree(u);
  for (int32_t item : data.train.col) ++item_degree[size_t(item)];
  std::vector<uint8_t> asked_for(size_t(data.items), 0);
  for (Split split : {Split::valid, Split::test})
    for (int32_t item : data.split(split).col) asked_for[size_t(item)] = 1;
  for (int64_t i = 0; i < data.items; ++i)
    facts.cold_items_asked_for += asked_for[size_t(i)] && item_degree[size_t(i)] == 0 ? 1 : 0;

  facts.density = double(data.train.entries()) / (double(data.users) * double(data.items));
  facts.users = degree_facts(std::move(user_degree));
  facts.items = degree_facts(std::move(item_degree));
  const auto shared = [&](Split a, Split b) {
    int64_t count = 0;
    for_each_shared(data, a, b, [&](int64_t, int32_t) { ++count; });
    return count;
  };
  facts.train_and_valid = shared(Split::train, Split::valid);
  facts.train_and_test = shared(Split::train, Split::test);
  facts.valid_and_test = shared(Split::valid, Split::test);
  return facts;
}

}  // namespace rec
