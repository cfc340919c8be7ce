// Counted terms to weights: TF-IDF with a logarithm of the count and a smoothed idf (Manning,
// Raghavan and Schütze 2008, chapter 6):
//
//   weight(item, f) = (1 + ln count) idf(f),   idf(f) = 1 + ln((1 + items) / (1 + items that have f))
//
// over the features of a vocabulary, each row of unit length. An item without any of them has no
// entries.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/embed/text_features.h"

namespace rec {

// A matrix [rows, cols] of floats: row r holds the entries row_start[r] .. row_start[r + 1].
struct SparseMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<int64_t> row_start = {0};  // [rows + 1]
  std::vector<int32_t> col;              // ascending within a row
  std::vector<float> value;              // as col

  int64_t entries() const { return int64_t(col.size()); }
};

SparseMatrix transposed(const SparseMatrix& a);

using FeatureCounts = std::vector<std::vector<FeatureCount>>;  // by item

// On all threads; a text's counts depend on nothing else.
FeatureCounts count_features(const std::vector<std::string>& texts);

// Features that occur, and what each weighs.
struct Vocabulary {
  std::vector<int32_t> feature;  // ascending
  std::vector<float> idf;        // as feature
};

Vocabulary vocabulary_of(const FeatureCounts& items);

// [items, vocabulary]; column c is the vocabulary's c-th feature. Others are passed over.
SparseMatrix weigh(const FeatureCounts& items, const Vocabulary& vocabulary);

}  // namespace rec
