#include "engine/projector.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/host_csr.h"

namespace rec {
namespace {

int64_t layer_width(const ProjectorShape& shape, int layer) {
  return layer == shape.layers - 1 ? shape.dim : shape.hidden;
}

void require_shape(const ProjectorShape& shape) {
  require(shape.layers >= 1 && shape.layers <= kMaxProjectorLayers,
          "projector: the number of layers must be 1 to 4");
  require(shape.dim > 0 && (shape.layers == 1 || shape.hidden > 0),
          "projector: widths must be greater than 0");
}

// The weight's and the bias's place in a slab, for each of the projector's layers.
template <class Layer>
void for_each_layer(const ProjectorShape& shape, const Parameters& parameters, Layer layer) {
  size_t p = 0;
  for (int l = 0; l < shape.layers; ++l) {
    const ParameterInfo& weight = parameters.table()[p++];
    layer(l, weight, shape.bias ? &parameters.table()[p++] : nullptr);
  }
}

template <class T>
MatrixView<T> matrix_in(VectorView<T> slab, const ParameterInfo& p) {
  return {slab.data + p.offset, p.rows, p.cols};
}
VectorView<float> vector_in(VectorView<float> slab, const ParameterInfo* p) {
  if (p == nullptr) return {};
  return {slab.data + p->offset, p->rows};
}

}  // namespace

int64_t default_hidden_width(int64_t language_width) {
  switch (language_width) {
    case 768: return 6144;
    case 1536: return 3072;
    case 3072: return 1536;
    case 4096: return 1152;
    default: return 2 * language_width;
  }
}

std::vector<ParameterInfo> projector_table(const ProjectorShape& shape, int64_t language_width) {
  require_shape(shape);
  std::vector<ParameterInfo> table;
  int64_t fan_in = language_width;
  for (int l = 0; l < shape.layers; ++l) {
    const std::string number = std::to_string(l + 1);
    const double bound = 1.0 / std::sqrt(double(fan_in));
    const int64_t out = layer_width(shape, l);
    table.push_back({"w" + number, out, fan_in, 0, bound});
    if (shape.bias) table.push_back({"b" + number, out, 0, 0, bound});
    fan_in = out;
  }
  return table;
}

ProjectorView projector_view(const ProjectorShape& shape, const Parameters& parameters) {
  ProjectorView view;
  view.layers = shape.layers;
  const ParameterSlabs slabs = parameters.slabs();
  for_each_layer(
      shape, parameters, [&](int l, const ParameterInfo& weight, const ParameterInfo* bias) {
        view.layer[l] = {slabs.rounded.size > 0 ? StoredView(matrix_in(slabs.rounded, weight))
                                                : StoredView(matrix_in(slabs.weight, weight)),
                         vector_in(slabs.weight, bias)};
      });
  return view;
}

ProjectorGradientView projector_gradient_view(const ProjectorShape& shape,
                                              const Parameters& parameters) {
  ProjectorGradientView view;
  const VectorView<float> grad = parameters.slabs().grad;
  for_each_layer(shape, parameters,
                 [&](int l, const ParameterInfo& weight, const ParameterInfo* bias) {
                   view.layer[l] = {matrix_in(grad, weight), vector_in(grad, bias)};
                 });
  return view;
}

NodeProjector::NodeProjector(Backend& backend, const Graph& graph, const LanguageVectors& z,
                             const ProjectorShape& shape)
    : backend_(backend), graph_(graph), z_(z), layers_(shape.layers) {
  require_shape(shape);
  for (int l = 0; l + 1 < shape.layers; ++l) {
    hidden_.emplace_back(backend, graph.nodes(), layer_width(shape, l));
    tape_.hidden[l] = hidden_.back().view();
  }
}

void NodeProjector::forward(const ProjectorView& projector, MatrixView<float> e0) {
  require(projector.layers == layers_, "projector: it was made for another number of layers");
  backend_.project(z_.view(), graph_.view(), projector, tape_, e0);
}

void NodeProjector::adjoint(const ProjectorView& projector, MatrixView<float> grad_e0,
                            const ProjectorGradientView& grad) {
  require(projector.layers == layers_, "projector: it was made for another number of layers");
  backend_.project_adjoint(z_.view(), graph_.view(), projector, tape_, grad_e0, grad);
}

void project_vectors(Backend& backend, const ProjectorShape& shape, const Parameters& parameters,
                     MatrixView<const float> vectors, float* out) {
  HostCsr no_users;  // the vectors stand in for the items of a graph without edges
  no_users.cols = vectors.rows;
  const Graph graph(backend, no_users.view());
  const LanguageVectors z(backend, vectors, no_users.view());
  Matrix<float> e0(backend, vectors.rows, shape.dim);
  NodeProjector(backend, graph, z, shape).forward(projector_view(shape, parameters), e0.view());
  const std::vector<float> host = e0.to_host(backend);
  std::copy(host.begin(), host.end(), out);
}

}  // namespace rec
