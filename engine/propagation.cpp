#include "engine/propagation.h"

namespace rec {

Propagation::Propagation(Backend& backend, const Graph& graph, int layers, int64_t dim)
    : backend_(backend), graph_(graph), layers_(layers) {
  require(layers >= 0, "encoder: the number of propagation layers must not be negative");
  if (layers > 0) scratch_ = Matrix<float>(backend, 2 * graph.nodes(), dim);
}

void Propagation::apply(MatrixView<const float> from, MatrixView<float> to,
                        const UserSubset& wanted) {
  backend_.propagate(graph_.view(), layers_, {.wanted = wanted}, from, scratch_.view(), to);
}

void Propagation::apply_adjoint(MatrixView<const float> grad, MatrixView<float> to,
                                const UserSubset& wanted) {
  backend_.propagate(graph_.view(), layers_, {.nonzero = wanted}, grad, scratch_.view(), to);
}

void Propagation::mean_of_inner_layers(MatrixView<const float> e0, MatrixView<float> mean) {
  require(layers_ >= 1, "encoder: there are no inner layers without propagation");
  backend_.propagate(graph_.view(), layers_ - 1, {}, e0, scratch_.view(), mean);
}

}  // namespace rec
