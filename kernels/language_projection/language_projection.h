// language_projection: the projector's first layer for all nodes, without the users' language vectors.
//
// z_u is the mean of z_i over u's training items, and the layer is linear: W z_u = mean_i(W z_i).
//
//   T      = Z W^T                           [items, out]: items only
//   pre_I  = T + b
//   pre_u  = mean of T[i] + b over u's items  light users: gathered
//   pre_u  = W z_u + b                       heavy ("hybrid") users: z_u kept as a row of a GEMM
//   pre_u  = 0                               users without training items (z_u does not exist)
//
// and backward, G being grad_pre_I with each light user's grad_pre_u / degree(u) added to her items:
//
//   grad_W = G^T Z + grad_pre_heavy^T Z_heavy
//   grad_b = column sum of G and grad_pre_heavy: of grad_pre over all nodes that have a vector
//
// Both are exact: only the order of rounding differs from projecting every node (docs page,
// derivation). A user is worth a GEMM row when her history is longer than a measured threshold
// (hybrid_degree).
//
// The gathers alone, of matrices of the caller's and with everyone gathered:
//
//   mean_of_items          out_u    = mean of x_i over u's items; 0 for users without any
//   mean_of_items_adjoint  grad_x_i = sum of grad_out_u / degree(u) over i's users; 0 without any
//
// Repeatable: yes, for any number of threads.
// Why it works: docs/kernels/language_projection.md
// Test: tests/kernels/test_language_projection.cpp   Speed: bench/kernels/bench_language_projection.cpp
#pragma once
#include <cstddef>

#include "kernels/common/bf16.h"
#include "kernels/common/check.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/common/precision.h"
#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec {

// The frozen inputs of the first layer. T: float or Bf16.
template <class T>
struct LanguageViewOf {
  MatrixView<const T> item;              // Z [items, language_width]
  MatrixView<const T> heavy;             // [heavy users, language_width]: their mean vectors z_u
  VectorView<const int32_t> heavy_user;  // [heavy users], user ids, ascending
  VectorView<const int32_t> light_user;  // users gathered instead, ascending; neither list holds
                                         // users without training items
  CsrView light_users_of_item;           // [items, users]: users_of_item without heavy users
};
using LanguageView = LanguageViewOf<float>;

// Parameters of one linear layer y = W x + b; bias may be absent (size 0). T: float, or Bf16 for a
// rounded copy of the weight.
template <class T>
struct LinearViewOf {
  MatrixView<const T> weight;    // [out, in]
  VectorView<const float> bias;  // [out] or empty
};
using LinearView = LinearViewOf<float>;
struct LinearGradientView {
  MatrixView<float> weight;  // [out, in], overwritten
  VectorView<float> bias;    // [out] or empty, overwritten
};

// layer: its parameters, or their gradients.
template <class T, class Layer>
void require_language_shapes(const LanguageViewOf<T>& z, const GraphView& graph, const Layer& layer,
                             int64_t node_rows, int64_t out) {
  require(z.item.rows == graph.items(), "language_projection: one language vector per item");
  require(layer.weight.cols == z.item.cols,
          "language_projection: the weight's columns must match the language width");
  require(z.heavy.rows == z.heavy_user.size, "language_projection: one vector per heavy user");
  require(z.heavy.rows == 0 || z.heavy.cols == z.item.cols,
          "language_projection: heavy users' vectors must have the language width");
  require(z.light_users_of_item.rows == graph.items(),
          "language_projection: one list of light users per item");
  require(layer.bias.size == 0 || layer.bias.size == layer.weight.rows,
          "language_projection: the bias must match the weight's rows");
  require(node_rows == graph.nodes(), "language_projection: one row per node, users then items");
  require(out == layer.weight.rows, "language_projection: the output width is the weight's rows");
}

// x [items, width], out [users, width], or their gradients.
inline void require_mean_of_items_shapes(const GraphView& graph, MatrixView<const float> x,
                                         MatrixView<const float> out) {
  require(x.rows == graph.items(), "mean_of_items: one row per item");
  require(out.rows == graph.users(), "mean_of_items: one mean per user");
  require(x.cols == out.cols, "mean_of_items: rows and means must have the same width");
}

namespace cpu {

// Histories longer than this are cheaper as a row of the GEMM (measured; docs page).
int64_t hybrid_degree(int64_t language_width);

// Bytes that one call of either function takes for itself, at most, with the threads in use.
int64_t projection_scratch_bytes(int64_t users, int64_t items, int64_t heavy_users, int64_t out);

// pre [nodes, out] overwritten (users first, then items).
void project_language(const LanguageView& z, const GraphView& graph, const LinearView& layer,
                      MatrixView<float> pre);

// grad_pre [nodes, out] is scratch afterwards: its item rows become G.  grad overwritten.
void project_language_backward(const LanguageView& z, const GraphView& graph,
                               MatrixView<float> grad_pre, const LinearGradientView& grad);

// x [items, width]; out [users, width] overwritten, must not overlap x.
void mean_of_items(const GraphView& graph, MatrixView<const float> x, MatrixView<float> out);

// grad_out [users, width]; grad_x [items, width] overwritten, must not overlap grad_out.
void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x);

}  // namespace cpu
namespace cuda {

// Histories longer than this are cheaper as a row of the GEMM: from what an H100 should do in this
// precision. Computed, not yet measured (docs page).
int64_t hybrid_degree(int64_t language_width, Precision precision);

// As cpu's, with T the type that the vectors and the weight are stored as, and Pre that of pre and
// grad_pre: float and float, Bf16 and Bf16, or Bf16 and float. Sums are float32 in all; what is
// stored as Bf16 is rounded once: T, each user's mean, G. The bias of Bf16 rows is rounded as well,
// and with Bf16 vectors so is a G of floats, before grad_W and grad_b are made of it.
template <class T, class Pre>
int64_t projection_scratch_bytes(int64_t users, int64_t items, int64_t heavy_users, int64_t out);

// The products are gemm's, in its precision. Besides its workspace, only scratch is used.
template <class T, class Pre>
void project_language(Gemm& gemm, const LanguageViewOf<T>& z, const GraphView& graph,
                      const LinearViewOf<T>& layer, MatrixView<Pre> pre,
                      VectorView<std::byte> scratch, Stream stream);
template <class T, class Pre>
void project_language_backward(Gemm& gemm, const LanguageViewOf<T>& z, const GraphView& graph,
                               MatrixView<Pre> grad_pre, const LinearGradientView& grad,
                               VectorView<std::byte> scratch, Stream stream);

void mean_of_items(const GraphView& graph, MatrixView<const float> x, MatrixView<float> out,
                   Stream stream);
void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x, VectorView<std::byte> scratch, Stream stream);
int64_t mean_of_items_adjoint_scratch_bytes(int64_t users);

}  // namespace cuda
}  // namespace rec
