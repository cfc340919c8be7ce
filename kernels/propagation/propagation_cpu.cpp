#include "kernels/propagation/propagation.h"

#include <algorithm>

#include "kernels/common/row_ops.h"
#include "kernels/common/simd.h"

namespace rec::cpu {
namespace {

constexpr int kRowsPerTurn = 16;  // a thread's turn: a popular item has thousands of neighbours

// z: sum of the neighbours' z_k on entry, z_(k+1) on return.
// e = (so_far + A~^(k+1) x) * mean_scale; so_far may be e.
REC_SIMD_CLONES void close_row(float scale, const float* so_far, float mean_scale, float* z,
                               float* e, int64_t dim) {
#pragma omp simd
  for (int64_t c = 0; c < dim; ++c) {
    const float layer = scale * z[c];
    e[c] = (so_far[c] + layer) * mean_scale;
    z[c] = scale * layer;
  }
}

// One side of the graph: the rows of `neighbours` sum the other side's rows of z.
struct Side {
  CsrView neighbours;
  VectorView<const float> scale;  // [rows]
  int64_t first_node;
  int64_t first_neighbour;  // the node that column 0 of `neighbours` means
};

}  // namespace

void propagate(const GraphView& graph, int layers, const PropagationUsers& subsets,
               MatrixView<const float> x, MatrixView<float> scratch, MatrixView<float> e) {
  require_propagation_shapes(graph, layers, subsets, x, scratch, e);
  const int64_t users = graph.users(), nodes = graph.nodes();
  const Side sides[] = {{graph.items_of_user, graph.user_scale, 0, users},
                        {graph.users_of_item, graph.item_scale, users, 0}};
  const float mean = 1.0f / float(layers + 1);
  if (layers == 0) {
    for (int64_t r = 0; r < nodes; ++r) std::copy_n(x.row(r), x.cols, e.row(r));
    return;
  }

#pragma omp parallel
  {
    // A hop's source is kept scaled: z_k = D^-1/2 A~^k x.
    // Then A~^(k+1) x = D^-1/2 (A z_k), and no edge needs a value.
    for (const Side& side : sides) {
#pragma omp for schedule(static) nowait
      for (int64_t r = 0; r < side.neighbours.rows; ++r)
        scale_row(side.scale[r], x.row(side.first_node + r), scratch.row(side.first_node + r),
                  x.cols);
    }
    for (int k = 0; k < layers; ++k) {
      const MatrixView<float> z = scratch.rows_from((k % 2) * nodes, nodes);
      const MatrixView<float> next = scratch.rows_from((1 - k % 2) * nodes, nodes);
      const bool first = k == 0, last = k + 1 == layers;
      const float mean_scale = last ? mean : 1.0f;
      const MatrixView<const float> so_far = first ? x : MatrixView<const float>(e);
#pragma omp barrier
      for (const Side& side : sides) {
        const bool to_users = side.first_node == 0;
        const MatrixView<const float> source =
            z.rows_from(side.first_neighbour, side.neighbours.cols);
#pragma omp for schedule(dynamic, kRowsPerTurn) nowait
        for (int64_t r = 0; r < side.neighbours.rows; ++r) {
          const int64_t node = side.first_node + r;
          const int32_t* neighbours = side.neighbours.row(r);
          int64_t degree = side.neighbours.degree(r);
          if (last && to_users && !subsets.wanted.has(r)) degree = 0;
          if (first && !to_users && !subsets.nonzero.is_everyone())
            sum_of_rows(source, neighbours, degree, subsets.nonzero, next.row(node));
          else
            sum_of_rows(source, neighbours, degree, next.row(node));
          close_row(side.scale[r], so_far.row(node), mean_scale, next.row(node), e.row(node),
                    x.cols);
        }
      }
    }
  }
}

}  // namespace rec::cpu
