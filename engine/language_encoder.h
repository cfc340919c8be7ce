// The encoder of AlphaRec and of the linear mapping: project the language vectors of all nodes,
// then propagate over the graph (engine/propagation.h).
//
//   e0 = W_n leaky(... W_1 z + b_1 ...) + b_n
#pragma once
#include <cstdint>
#include <vector>

#include "engine/encoder.h"
#include "engine/graph.h"
#include "engine/language_vectors.h"

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

class LanguageEncoder final : public Encoder {
 public:
  // backend, graph and z must outlive the encoder. propagation_layers is K.
  LanguageEncoder(Backend& backend, const Graph& graph, const LanguageVectors& z,
                  ProjectorShape projector, int propagation_layers);

  int64_t nodes() const override { return graph_.nodes(); }
  int64_t dim() const override { return shape_.dim; }
  std::vector<ParameterInfo> parameter_table() const override;
  void forward(const Parameters& parameters, MatrixView<float> e,
               const UserSubset& wanted) override;
  void backward(const Parameters& parameters, MatrixView<float> grad_e,
                const UserSubset& wanted) override;

  MatrixView<const float> initial() const override { return e0_.view(); }
  Propagation& propagation() override { return propagation_; }

 private:
  Backend& backend_;
  const Graph& graph_;
  const LanguageVectors& z_;
  ProjectorShape shape_;
  Propagation propagation_;
  std::vector<StoredMatrix> hidden_;
  Matrix<float> e0_;
  ProjectorTape tape_;
};

// The table of a projector's parameters (w1, b1, w2, ...) and views of them in a slab.
std::vector<ParameterInfo> projector_table(const ProjectorShape& shape, int64_t language_width);
ProjectorView projector_view(const ProjectorShape& shape, const Parameters& parameters);

// out [rows, dim] = the projector applied to vectors (host) [rows, language_width] that are no
// item's: a query, or the mean of a new user's history. out is host memory.
void project_vectors(Backend& backend, const ProjectorShape& shape, const Parameters& parameters,
                     MatrixView<const float> vectors, float* out);

}  // namespace rec
