// propagation: K layers of graph convolution, averaged.
//
//   e = 1/(K+1) * sum_{k=0..K} A~^k x        A~ = D^-1/2 A D^-1/2 over users and items
//
// Edges carry no value: a hop scales the source rows by degree^-1/2, adds neighbours, and scales
// the result. Nodes of degree 0 give 0 in every hop, so their e is x / (K + 1). K = 0 copies x.
// A~ is symmetric, so the adjoint is the same function: grad_x = propagate(grad_e).
//
// Training scores a batch's users alone, so of the others' rows neither the last layer forward nor
// the first one backward is worth its reads: PropagationUsers leaves them out.
//
// Repeatable: every value is summed in a fixed order, on the CPU in stored edge order for any number
// of threads.
// Why it works: docs/kernels/propagation.md   Test: tests/kernels/test_propagation.cpp
// Speed: bench/kernels/bench_propagation.cpp
#pragma once
#include "kernels/common/check.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

struct PropagationUsers {
  // The rows of x of all other users are zero; the first hop does not read them as neighbours.
  UserSubset nonzero = {};
  // The rows of e of all other users leave out the last layer: 1/(K+1) sum_{k < K} A~^k x. With
  // K = 0 there is nothing to leave out.
  UserSubset wanted = {};
};

inline void require_propagation_shapes(const GraphView& graph, int layers,
                                       const PropagationUsers& users, MatrixView<const float> x,
                                       MatrixView<float> scratch, MatrixView<float> e) {
  require(layers >= 0, "propagation: the number of layers must not be negative");
  require(x.rows == graph.nodes() && e.rows == graph.nodes(),
          "propagation: one row per node, users then items");
  require(x.cols == e.cols, "propagation: input and output must have the same width");
  require(layers == 0 || (scratch.rows == 2 * graph.nodes() && scratch.cols == x.cols),
          "propagation: scratch must be [2 * nodes, width]");
  for (const UserSubset& subset : {users.nonzero, users.wanted})
    require(subset.is_everyone() || subset.row_start.size == graph.users() + 1,
            "propagation: a subset must be of the graph's users");
}

namespace cpu {

// x [nodes, dim] read; e [nodes, dim] overwritten, must not overlap x; scratch [2 * nodes, dim]
// (may be empty for layers = 0).
void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
               MatrixView<const float> x, MatrixView<float> scratch, MatrixView<float> e);

}  // namespace cpu
namespace cuda {

// As above. A row of many neighbours is summed in parts, always the same ones.
void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
               MatrixView<const float> x, MatrixView<float> scratch, MatrixView<float> e,
               Stream stream);

}  // namespace cuda
}  // namespace rec
