#include "engine/model.h"

namespace rec {

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
  int64_t heavy_users = 0, light_edges = 0;
  for (int64_t u = 0; u < users; ++u) {
    const bool heavy = train.degree(u) > backend.hybrid_degree(language_width);
    heavy_users += heavy ? 1 : 0;
    light_edges += heavy ? 0 : train.degree(u);
  }
  int64_t parameters = 0;
  for (const ParameterInfo& p : projector_table(settings.projector, language_width))
    parameters += p.size();
  const int64_t scored = settings.score == Score::cosine ? 2 * dim + 1 : dim;
  const int64_t scratch = settings.propagation_layers > 0 ? 2 * dim : 0;
  const int64_t floats = (items + heavy_users) * language_width       // Z, heavy users' means
                         + nodes * (hidden + dim + scratch + scored)  // tape, e0, propagation, e
                         + 4 * parameters      // weights, gradient, two moments
                         + nodes;              // degree^-1/2
  const int64_t ids = 2 * edges + light_edges  // the graph both ways, light users' items
                      + 2 * users;             // active users, and the same as heavy and light
  const int64_t offsets = (users + 1) + 2 * (items + 1);  // of the three CSRs
  return 4 * (floats + ids) + 8 * offsets;
}

void Model::embed() {
  encoder_.forward(parameters_, representations_.raw());
  representations_.make_scored();
}

}  // namespace rec
