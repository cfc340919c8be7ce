#include "engine/language_vectors.h"

#include "engine/host_csr.h"

namespace rec {

void mean_language_vector(MatrixView<const float> z, VectorView<const int32_t> items, float* out) {
  std::vector<double> sum(static_cast<size_t>(z.cols), 0.0);
  for (int32_t i : items) {
    const float* row = z.row(i);
    for (int64_t c = 0; c < z.cols; ++c) sum[static_cast<size_t>(c)] += double(row[c]);
  }
  const double scale = items.size > 0 ? 1.0 / double(items.size) : 0.0;
  for (int64_t c = 0; c < z.cols; ++c) out[c] = float(sum[static_cast<size_t>(c)] * scale);
}

LanguageVectors::LanguageVectors(Backend& backend, MatrixView<const float> z, CsrView train)
    : LanguageVectors(backend, z, train, backend.hybrid_degree(z.cols)) {}

LanguageVectors::LanguageVectors(Backend& backend, MatrixView<const float> z, CsrView train,
                                 int64_t hybrid_degree)
    : item_(backend, z), users_(train.rows) {
  require(z.rows == train.cols, "language vectors: one row per item");

  std::vector<int32_t> heavy, light;
  for (int64_t u = 0; u < train.rows; ++u)
    if (train.degree(u) > 0)
      (train.degree(u) > hybrid_degree ? heavy : light).push_back(static_cast<int32_t>(u));
  heavy_user_ = Array<int32_t>(backend, heavy);
  light_user_ = Array<int32_t>(backend, light);

  const auto heavy_rows = static_cast<int64_t>(heavy.size());
  std::vector<float> means(heavy.size() * static_cast<size_t>(z.cols));
  const MatrixView<float> mean(means.data(), heavy_rows, z.cols);
  for (int64_t h = 0; h < heavy_rows; ++h) {
    const int32_t u = heavy[static_cast<size_t>(h)];
    mean_language_vector(z, {train.row(u), train.degree(u)}, mean.row(h));
  }
  heavy_ = StoredMatrix(backend, mean);

  const HostCsr light_by_item =
      transpose(train, [&](int64_t u) { return train.degree(u) <= hybrid_degree; });
  light_start_ = Array<int64_t>(backend, light_by_item.row_start);
  light_user_of_item_ = Array<int32_t>(backend, light_by_item.col);
}

StoredLanguage LanguageVectors::view() const {
  return {item_.view(),
          heavy_.view(),
          heavy_user_.view(),
          light_user_.view(),
          {item_.rows(), users_, light_start_.data(), light_user_of_item_.data()}};
}

}  // namespace rec
