#include "engine/language_encoder.h"

namespace rec {

LanguageEncoder::LanguageEncoder(Backend& backend, const Graph& graph, const LanguageVectors& z,
                                 ProjectorShape shape, int propagation_layers)
    : shape_(shape),
      language_width_(z.width()),
      projector_(backend, graph, z, shape),
      propagation_(backend, graph, propagation_layers, shape.dim),
      e0_(backend, graph.nodes(), shape.dim) {}

std::vector<ParameterInfo> LanguageEncoder::parameter_table() const {
  return projector_table(shape_, language_width_);
}

void LanguageEncoder::forward(const Parameters& parameters, MatrixView<float> e,
                              const UserSubset& wanted) {
  projector_.forward(projector_view(shape_, parameters), e0_.view());
  propagation_.apply(e0_.view(), e, wanted);
}

void LanguageEncoder::backward(const Parameters& parameters, MatrixView<float> grad_e,
                               const UserSubset& wanted) {
  // e0's memory takes grad_e0: nothing reads e0 after.
  propagation_.apply_adjoint(grad_e, e0_.view(), wanted);
  projector_.adjoint(projector_view(shape_, parameters), e0_.view(),
                     projector_gradient_view(shape_, parameters));
}

}  // namespace rec
