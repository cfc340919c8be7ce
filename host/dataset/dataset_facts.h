// What a dataset looks like in numbers: what a person wants to know before training on it.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

// How training interactions spread over users, or over items.
struct DegreeFacts {
  static constexpr std::array<double, 6> kQuantiles = {0, 0.25, 0.5, 0.75, 0.99, 1};
  // The degree at each, of the sorted degrees: no interpolation.
  std::array<int64_t, kQuantiles.size()> at{};
  double mean = 0;
  int64_t zero = 0;  // how many have none
};

DegreeFacts degree_facts(std::vector<int64_t> degrees);

struct DatasetFacts {
  double density = 0;  // training interactions / (users * items)
  DegreeFacts users;   // zero: users without training items
  DegreeFacts items;   // zero: cold items
  // Interactions in both splits.
  int64_t train_and_valid = 0, train_and_test = 0, valid_and_test = 0;
  // Cold items that valid or test asks for: only language can find these.
  int64_t cold_items_asked_for = 0;
};

DatasetFacts facts_of(const Dataset& data);

}  // namespace rec
