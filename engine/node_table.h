// The encoder of models without language vectors (MF, LightGCN): the parameters are the nodes'
// representations at layer 0.
//
//   e = mean over k = 0 .. K of A~^k T,   T = [user; item]
#pragma once
#include <cstdint>
#include <vector>

#include "engine/encoder.h"
#include "engine/graph.h"

namespace rec {

struct NodeTableShape {
  int64_t dim = 64;
  // Initial values are normal with this deviation; 0: Xavier's, sqrt(2 / (rows + dim)) of users and
  // of items apart.
  double deviation = 0;
};

class NodeTable final : public Encoder {
 public:
  // backend and graph must outlive the encoder. propagation_layers is K.
  NodeTable(Backend& backend, const Graph& graph, NodeTableShape shape, int propagation_layers);

  // user [users, dim], item [items, dim]: one after the other in the slab, as nodes are.
  static std::vector<ParameterInfo> table(const NodeTableShape& shape, int64_t users,
                                          int64_t items);

  int64_t nodes() const override { return graph_.nodes(); }
  int64_t dim() const override { return shape_.dim; }
  std::vector<ParameterInfo> parameter_table() const override;
  void forward(const Parameters& parameters, MatrixView<float> e,
               const UserSubset& wanted) override;
  void backward(const Parameters& parameters, MatrixView<float> grad_e,
                const UserSubset& wanted) override;

  MatrixView<const float> initial() const override { return table_; }
  Propagation& propagation() override { return propagation_; }

 private:
  const Graph& graph_;
  NodeTableShape shape_;
  Propagation propagation_;
  MatrixView<const float> table_;  // of the last forward
};

// The rows of all nodes [nodes, dim] in one of the slabs of a node table's parameters.
MatrixView<float> node_rows(const Parameters& parameters, VectorView<float> slab);

}  // namespace rec
