// A model on one dataset: its graph, its language vectors where it reads any, encoder and
// parameters, and the representations that ranking reads. Training (engine/training.h) and
// recommending share it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/backend.h"
#include "engine/graph.h"
#include "engine/language_encoder.h"
#include "engine/language_vectors.h"
#include "engine/node_table.h"
#include "engine/parameters.h"
#include "engine/representations.h"

namespace rec {

// What defines the function from parameters to scores.
struct ModelSettings {
  ProjectorShape projector;
  int propagation_layers = 2;  // K
  Score score = Score::cosine;
  // In the projector's place where it is given: the model then reads no language vectors.
  std::optional<NodeTableShape> node_table = std::nullopt;

  int64_t dim() const { return node_table ? node_table->dim : projector.dim; }
};

class Model {
 public:
  // z (host): [items, language_width], unused with a node table.  train (host): [users, items].
  // Parameters start at zero.
  Model(Backend& backend, const ModelSettings& settings, MatrixView<const float> z, CsrView train);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Bytes this takes in backend memory, before anything is allocated; train (host) as above.
  static int64_t bytes_needed(const Backend& backend, const ModelSettings& settings, CsrView train,
                              int64_t language_width);
  // What embed() and its adjoint ask of the backend: how much there is to project.
  static ProjectionSize projection_size(const Backend& backend, const ModelSettings& settings,
                                        CsrView train, int64_t language_width);

  Backend& backend() { return backend_; }
  const ModelSettings& settings() const { return settings_; }
  const Graph& graph() const { return graph_; }
  Encoder& encoder() { return *encoder_; }
  Parameters& parameters() { return parameters_; }

  // Runs the encoder; afterwards representations() is up to date with the parameters, but for users
  // who are not wanted.
  void embed(const UserSubset& wanted = {});
  const Representations& representations() const { return representations_; }

 private:
  Backend& backend_;
  ModelSettings settings_;
  Graph graph_;
  std::optional<LanguageVectors> z_;
  std::unique_ptr<Encoder> encoder_;
  Parameters parameters_;
  Representations representations_;
};

}  // namespace rec
