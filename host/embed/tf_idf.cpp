#include "host/embed/tf_idf.h"

#include <cmath>

namespace rec {

SparseMatrix transposed(const SparseMatrix& a) {
  SparseMatrix t;
  t.rows = a.cols;
  t.cols = a.rows;
  t.row_start.assign(size_t(t.rows) + 1, 0);
  for (const int32_t c : a.col) ++t.row_start[size_t(c) + 1];
  for (size_t r = 1; r < t.row_start.size(); ++r) t.row_start[r] += t.row_start[r - 1];
  t.col.resize(a.col.size());
  t.value.resize(a.value.size());
  std::vector<int64_t> next(t.row_start.begin(), t.row_start.end() - 1);
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t e = a.row_start[size_t(r)]; e < a.row_start[size_t(r) + 1]; ++e) {
      const auto place = size_t(next[size_t(a.col[size_t(e)])]++);
      t.col[place] = int32_t(r);
      t.value[place] = a.value[size_t(e)];
    }
  return t;
}

FeatureCounts count_features(const std::vector<std::string>& texts) {
  FeatureCounts items(texts.size());
#pragma omp parallel for schedule(dynamic, 64)
  for (size_t i = 0; i < texts.size(); ++i) items[i] = count_features(texts[i]);
  return items;
}

Vocabulary vocabulary_of(const FeatureCounts& items) {
  std::vector<int32_t> having(size_t{kHashedFeatures}, 0);  // items that have the feature
  for (const std::vector<FeatureCount>& item : items)
    for (const FeatureCount& each : item) ++having[size_t(each.feature)];
  Vocabulary vocabulary;
  for (int32_t f = 0; f < kHashedFeatures; ++f) {
    if (having[size_t(f)] == 0) continue;
    vocabulary.feature.push_back(f);
    vocabulary.idf.push_back(
        float(1 + std::log((1.0 + double(items.size())) / (1.0 + having[size_t(f)]))));
  }
  return vocabulary;
}

SparseMatrix weigh(const FeatureCounts& items, const Vocabulary& vocabulary) {
  std::vector<int32_t> column(size_t{kHashedFeatures}, -1);
  for (size_t c = 0; c < vocabulary.feature.size(); ++c)
    column[size_t(vocabulary.feature[c])] = int32_t(c);
  SparseMatrix weights;
  weights.cols = int64_t(vocabulary.feature.size());
  std::vector<double> row;
  for (const std::vector<FeatureCount>& item : items) {
    row.clear();
    double square = 0;
    for (const FeatureCount& each : item) {
      const int32_t c = column[size_t(each.feature)];
      if (c < 0) continue;
      row.push_back((1 + std::log(double(each.count))) * double(vocabulary.idf[size_t(c)]));
      weights.col.push_back(c);
      square += row.back() * row.back();
    }
    for (const double weight : row) weights.value.push_back(float(weight / std::sqrt(square)));
    weights.row_start.push_back(weights.entries());
    ++weights.rows;
  }
  return weights;
}

}  // namespace rec
