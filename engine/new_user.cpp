#include "engine/new_user.h"

#include <algorithm>
#include <cmath>

#include "kernels/normalisation/normalisation.h"

namespace rec {

std::vector<float> new_user_vector(Model& model, MatrixView<const float> z, CsrView train,
                                   const std::vector<int32_t>& history) {
  require(!history.empty(), "new user: the history must hold at least one item");
  Backend& backend = model.backend();
  const int64_t dim = model.encoder().dim(), users = model.graph().users();
  const int layers = model.settings().propagation_layers;

  std::vector<float> mean(static_cast<size_t>(z.cols));
  const int64_t n = static_cast<int64_t>(history.size());
  mean_language_vector(z, {history.data(), n}, mean.data());
  std::vector<float> vector(static_cast<size_t>(dim));
  project_vectors(backend, model.settings().projector, model.parameters(), {mean.data(), 1, z.cols},
                  vector.data());

  if (layers > 0) {
    std::vector<int64_t> degree(history.size(), 0);
    for (int64_t e = 0; e < train.row_start[train.rows]; ++e) {
      const auto at = std::lower_bound(history.begin(), history.end(), train.col[e]);
      if (at != history.end() && *at == train.col[e]) ++degree[size_t(at - history.begin())];
    }
    Matrix<float> inner(backend, model.graph().nodes(), dim);
    model.encoder().propagation().mean_of_inner_layers(model.encoder().initial(), inner.view());
    std::vector<float> row(static_cast<size_t>(dim));
    for (size_t h = 0; h < history.size(); ++h) {
      backend.download(row.data(), inner.view().row(users + history[h]),
                       sizeof(float) * row.size());
      const double weight = double(layers) / std::sqrt(double(n) * double(degree[h] + 1));
      for (size_t c = 0; c < row.size(); ++c) vector[c] += float(weight * double(row[c]));
    }
    for (float& value : vector) value /= float(layers + 1);
  }
  if (model.settings().score == Score::cosine) {
    double square = 0;
    for (float value : vector) square += double(value) * double(value);
    const double norm = std::max(std::sqrt(square), double(kSmallestNorm));
    for (float& value : vector) value = float(double(value) / norm);
  }
  return vector;
}

}  // namespace rec
