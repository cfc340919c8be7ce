#include "engine/node_table.h"

#include <cmath>

namespace rec {

NodeTable::NodeTable(Backend& backend, const Graph& graph, NodeTableShape shape,
                     int propagation_layers)
    : graph_(graph), shape_(shape), propagation_(backend, graph, propagation_layers, shape.dim) {}

std::vector<ParameterInfo> NodeTable::table(const NodeTableShape& shape, int64_t users,
                                            int64_t items) {
  require(shape.dim > 0 && shape.deviation >= 0,
          "node table: its width must be greater than 0, the deviation not negative");
  const auto rows_of = [&](const char* name, int64_t rows) -> ParameterInfo {
    const double xavier = std::sqrt(2.0 / double(rows + shape.dim));
    return {name,
            rows,
            shape.dim,
            0,
            shape.deviation > 0 ? shape.deviation : xavier,
            Distribution::normal};
  };
  return {rows_of("user", users), rows_of("item", items)};
}

std::vector<ParameterInfo> NodeTable::parameter_table() const {
  return table(shape_, graph_.users(), graph_.items());
}

void NodeTable::forward(const Parameters& parameters, MatrixView<float> e,
                        const UserSubset& wanted) {
  table_ = node_rows(parameters, parameters.slabs().weight);
  propagation_.apply(table_, e, wanted);
}

void NodeTable::backward(const Parameters& parameters, MatrixView<float> grad_e,
                         const UserSubset& wanted) {
  propagation_.apply_adjoint(grad_e, node_rows(parameters, parameters.slabs().grad), wanted);
}

MatrixView<float> node_rows(const Parameters& parameters, VectorView<float> slab) {
  const int64_t dim = parameters.table().front().cols;
  return {slab.data, slab.size / dim, dim};
}

}  // namespace rec
