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

std::optional<LanguageVectors> language_of(Backend& backend, const ModelSettings& settings,
                                           MatrixView<const float> z, CsrView train) {
  if (settings.node_table) return std::nullopt;
  return LanguageVectors(backend, z, train);
}

std::unique_ptr<Encoder> make_encoder(Backend& backend, const ModelSettings& settings,
                                      const Graph& graph, const std::optional<LanguageVectors>& z) {
  if (settings.node_table)
    return std::make_unique<NodeTable>(backend, graph, *settings.node_table,
                                       settings.propagation_layers);
  return std::make_unique<LanguageEncoder>(backend, graph, *z, settings.projector,
                                           settings.propagation_layers);
}

int64_t size_of(const std::vector<ParameterInfo>& table) {
  int64_t size = 0;
  for (const ParameterInfo& p : table) size += p.size();
  return size;
}

// In backend memory.
struct Counts {
  int64_t stored = 0;  // values of the type that the backend stores activations in
  int64_t floats = 0, ids = 0, offsets = 0;
};

// Of the language vectors and what the projector leaves between its layers.
Counts of_language(const Backend& backend, const ModelSettings& settings, CsrView train,
                   int64_t language_width) {
  const int64_t users = train.rows, items = train.cols, nodes = users + items;
  const auto [heavy_users, heavy_edges] = heavy(train, backend.hybrid_degree(language_width));
  const int64_t hidden = settings.projector.hidden * (settings.projector.layers - 1);
  Counts counts;
  counts.stored = (items + heavy_users) * language_width + nodes * hidden;
  counts.floats = nodes * settings.dim();                     // e0
  counts.ids = train.row_start[users] - heavy_edges + users;  // light users' items; heavy and light
  counts.offsets = items + 1;
  return counts;
}

}  // namespace

Model::Model(Backend& backend, const ModelSettings& settings, MatrixView<const float> z,
             CsrView train)
    : backend_(backend),
      settings_(settings),
      graph_(backend, train),
      z_(language_of(backend, settings, z, train)),
      encoder_(make_encoder(backend, settings, graph_, z_)),
      parameters_(backend, encoder_->parameter_table()),
      representations_(backend, settings.score, graph_.users(), graph_.items(), settings.dim()) {}

int64_t Model::bytes_needed(const Backend& backend, const ModelSettings& settings, CsrView train,
                            int64_t language_width) {
  const int64_t users = train.rows, items = train.cols, nodes = users + items;
  const int64_t dim = settings.dim();
  Counts counts;
  if (!settings.node_table) counts = of_language(backend, settings, train, language_width);
  const int64_t parameters =
      size_of(settings.node_table ? NodeTable::table(*settings.node_table, users, items)
                                  : projector_table(settings.projector, language_width));
  const int64_t scored = settings.score == Score::cosine ? 2 * dim + 1 : dim;
  const Element element = backend.stored_element();
  if (element != Element::float32) counts.stored += parameters;  // the weights, rounded
  counts.floats += nodes * (Propagation::floats_per_node(settings.propagation_layers, dim) +
                            scored + 1)              // degree^-1/2
                   + 4 * parameters;                 // weights, gradient, two moments
  counts.ids += 2 * train.row_start[users] + users;  // the graph both ways, active users
  counts.offsets += (users + 1) + (items + 1);
  return bytes_of(element) * counts.stored + 4 * (counts.floats + counts.ids) + 8 * counts.offsets;
}

void Model::embed(const UserSubset& wanted) {
  encoder_->forward(parameters_, representations_.raw(), wanted);
  representations_.make_scored();
}

ProjectionSize Model::projection_size(const Backend& backend, const ModelSettings& settings,
                                      CsrView train, int64_t language_width) {
  ProjectionSize size;
  size.users = train.rows;
  size.items = train.cols;
  size.dim = settings.dim();
  if (settings.node_table) return size;
  const ProjectorShape& projector = settings.projector;
  const int64_t heavy_users = heavy(train, backend.hybrid_degree(language_width)).users;
  size.heavy_users = heavy_users;
  size.layers = projector.layers;
  size.hidden = projector.hidden;
  return size;
}

}  // namespace rec
