// The encoder of AlphaRec and of the linear mapping: project the language vectors of all nodes
// (engine/projector.h), then propagate over the graph (engine/propagation.h).
#pragma once
#include <cstdint>
#include <vector>

#include "engine/encoder.h"
#include "engine/graph.h"
#include "engine/language_vectors.h"
#include "engine/projector.h"

namespace rec {

class LanguageEncoder final : public Encoder {
 public:
  // backend, graph and z must outlive the encoder. propagation_layers is K.
  LanguageEncoder(Backend& backend, const Graph& graph, const LanguageVectors& z,
                  ProjectorShape shape, int propagation_layers);

  int64_t nodes() const override { return e0_.rows(); }
  int64_t dim() const override { return shape_.dim; }
  std::vector<ParameterInfo> parameter_table() const override;
  void forward(const Parameters& parameters, MatrixView<float> e,
               const UserSubset& wanted) override;
  void backward(const Parameters& parameters, MatrixView<float> grad_e,
                const UserSubset& wanted) override;

  MatrixView<const float> initial() const override { return e0_.view(); }
  Propagation& propagation() override { return propagation_; }

 private:
  ProjectorShape shape_;
  int64_t language_width_;
  NodeProjector projector_;
  Propagation propagation_;
  Matrix<float> e0_;
};

}  // namespace rec
