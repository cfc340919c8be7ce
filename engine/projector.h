// The projector: from the language vectors of all nodes to e0, and the gradient back.
//
//   e0 = W_n leaky(... W_1 z + b_1 ...) + b_n
#pragma once
#include <cstdint>
#include <vector>

#include "engine/graph.h"
#include "engine/language_vectors.h"
#include "engine/parameters.h"

namespace rec {

struct ProjectorShape {
  int layers = 2;      // 1 is a linear map
  int64_t hidden = 0;  // width between layers; unused for one layer
  int64_t dim = 64;    // output width
  bool bias = true;
};

// The authors' hidden widths (equal parameter counts at 768,
// 1536, 3072 and 4096), else twice the input.
int64_t default_hidden_width(int64_t language_width);

// The table of a projector's parameters (w1, b1, w2, ...), and views of them and of their gradients
// in a slab.
std::vector<ParameterInfo> projector_table(const ProjectorShape& shape, int64_t language_width);
ProjectorView projector_view(const ProjectorShape& shape, const Parameters& parameters);
ProjectorGradientView projector_gradient_view(const ProjectorShape& shape,
                                              const Parameters& parameters);

// A projector over all nodes, of parameters that may be anybody's: users by the mean of their
// items' vectors. Keeps what lies between its layers, from forward to adjoint.
class NodeProjector {
 public:
  // backend, graph and z must outlive it.
  NodeProjector(Backend& backend, const Graph& graph, const LanguageVectors& z,
                const ProjectorShape& shape);

  // e0 [nodes, dim] overwritten. The weights are as the backend stores them (stored_element).
  void forward(const ProjectorView& projector, MatrixView<float> e0);
  // Once after forward with the same parameters: grad overwritten, grad_e0 scratch afterwards.
  void adjoint(const ProjectorView& projector, MatrixView<float> grad_e0,
               const ProjectorGradientView& grad);

 private:
  Backend& backend_;
  const Graph& graph_;
  const LanguageVectors& z_;
  int layers_;
  std::vector<StoredMatrix> hidden_;
  ProjectorTape tape_;
};

// out [rows, dim] = the projector applied to vectors (host) [rows, language_width] that are no
// item's: a query, or the mean of a new user's history. out is host memory.
void project_vectors(Backend& backend, const ProjectorShape& shape, const Parameters& parameters,
                     MatrixView<const float> vectors, float* out);

}  // namespace rec
