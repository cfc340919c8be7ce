#include "engine/model.h"

namespace rec {
namespace {

// Users with more training items than `degree`, and the edges they have.
struct Heavy {
  int64_t users = 0, edges = 0;
};
Heavy heavy(CsrView train, int64_t degree) {
  Heavy found;
  for (int64_t u = 0; u < train.rows; ++u) {
    if (train.degree(u) <= degree) continue;
    ++found.users;
    found.edges += train.degree(u);
  }
  return found;
}

}  // namespace

Model::Model(Backend& backend, const ModelSettings& settings, MatrixView<const float> z,
             CsrView train)
    : backend_(backend),
      settings_(settings),
      graph_(backend, train),
      z_(backend, z, train),
      encoder_(backend, graph_, z_, settings.projector, settings.propagation_layers),
      parameters_(backend, encoder_.parameter_table()),
      representations_(backend, settings.score, graph_.users(), graph_.items(),
                       settings.projector.dim) {}

int64_t Model::bytes_needed(const Backend& backend, const ModelSettings& settings, CsrView train,
                            int64_t language_width) {
  const int64_t users = train.rows, items = train.cols, nodes = users + items;
  const int64_t edges = train.row_start[users];
  const int64_t dim = settings.projector.dim;
  const int64_t hidden = settings.projector.hidden * (settings.projector.layers - 1);
  const auto [heavy_users, heavy_edges] = heavy(train, backend.hybrid_degree(language_width));
  const int64_t light_edges = edges - heavy_edges;
  int64_t parameters = 0;
  for (const ParameterInfo& p : projector_table(settings.projector, language_width))
    parameters += p.size();
  const int64_t scored = settings.score == Score::cosine ? 2 * dim + 1 : dim;
  const int64_t scratch = settings.propagation_layers > 0 ? 2 * dim : 0;
  const Element element = backend.stored_element();
  const int64_t stored = (items + heavy_users) * language_width             // Z, heavy users' means
                         + nodes * hidden                                   // tape
                         + (element == Element::float32 ? 0 : parameters);  // rounded weights
  const int64_t floats = nodes * (dim + scratch + scored)                   // e0, propagation, e
                         + 4 * parameters      // weights, gradient, two moments
                         + nodes;              // degree^-1/2
  const int64_t ids = 2 * edges + light_edges  // the graph both ways, light users' items
                      + 2 * users;             // active users, and the same as heavy and light
  const int64_t offsets = (users + 1) + 2 * (items + 1);  // of the three CSRs
  return bytes_of(element) * stored + 4 * (floats + ids) + 8 * offsets;
}

void Model::embed() {
  encoder_.forward(parameters_, representations_.raw());
  representations_.make_scored();
}

ProjectionSize Model::projection_size(const Backend& backend, const ModelSettings& settings,
                                      CsrView train, int64_t language_width) {
  const ProjectorShape& projector = settings.projector;
  const int64_t heavy_users = heavy(train, backend.hybrid_degree(language_width)).users;
  return {train.rows, train.cols, heavy_users, projector.layers, projector.hidden, projector.dim};
}

}  // namespace rec
