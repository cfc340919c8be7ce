// The second half of every encoder: what layer 0 says of the nodes, spread over the graph.
//
//   e = mean over k = 0 .. K of A~^k e0
#pragma once
#include "engine/buffer.h"
#include "engine/graph.h"

namespace rec {

class Propagation {
 public:
  // backend and graph must outlive it. layers is K, at least 0; dim is e's width.
  Propagation(Backend& backend, const Graph& graph, int layers, int64_t dim);

  // Backend memory it takes, in floats a node.
  static int64_t floats_per_node(int layers, int64_t dim) { return layers > 0 ? 2 * dim : 0; }

  int layers() const { return layers_; }
  // to [nodes, dim] overwritten; the rows of users who are not wanted are not finished.
  void apply(MatrixView<const float> from, MatrixView<float> to, const UserSubset& wanted);
  // Its adjoint; grad's rows of users who were not wanted must be zero.
  void apply_adjoint(MatrixView<const float> grad, MatrixView<float> to, const UserSubset& wanted);
  // mean [nodes, dim] = 1/K sum_{k < K} A~^k e0: what a new user's representation on the frozen
  // graph is made of. K must be at least 1.
  void mean_of_inner_layers(MatrixView<const float> e0, MatrixView<float> mean);

 private:
  Backend& backend_;
  const Graph& graph_;
  int layers_;
  Matrix<float> scratch_;
};

}  // namespace rec
