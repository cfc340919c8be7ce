#include "host/python/native/operators.h"

#include <nanobind/stl/vector.h>

#include <memory>
#include <vector>

#include "engine/graph.h"
#include "engine/operations.h"
#include "host/library/checks.h"
#include "host/library/threads.h"
#include "host/python/native/csr.h"

namespace rec::python {
namespace {

// A training graph, and the interactions it was made of.
class TrainingGraph {
 public:
  explicit TrainingGraph(const Csr& interactions)
      : interactions_(interactions), graph_(*cpu_backend(), interactions.view()) {}

  const Graph& graph() const { return graph_; }
  CsrView train() const { return interactions_.view(); }

 private:
  Csr interactions_;
  Graph graph_;
};

MatrixView<const float> matrix_with_rows(const Given& array, const char* name, int64_t rows,
                                         const char* of) {
  const MatrixView<const float> view = float_matrix(array, name);
  require_rows(view, name, rows, of);
  return view;
}

void propagate_rows(const TrainingGraph& of, const Given& x, int layers, const Result& out) {
  const MatrixView<const float> from =
      matrix_with_rows(x, "x", of.graph().nodes(), "users and then items");
  propagate(*cpu_backend(), of.graph(), layers, from,
            float_result(out, "out", from.rows, from.cols));
}

void mean_rows(const TrainingGraph& of, const Given& x, const Result& out) {
  const MatrixView<const float> from = matrix_with_rows(x, "x", of.graph().items(), "items");
  mean_of_items(*cpu_backend(), of.graph(), from,
                float_result(out, "out", of.graph().users(), from.cols));
}

void mean_rows_adjoint(const TrainingGraph& of, const Given& grad, const Result& out) {
  const MatrixView<const float> from = matrix_with_rows(grad, "grad", of.graph().users(), "users");
  mean_of_items_adjoint(*cpu_backend(), of.graph(), from,
                        float_result(out, "out", of.graph().items(), from.cols));
}

double loss_and_gradients(bool bpr, float tau, bool cosine, const Given& user_vectors,
                          const Given& item_vectors, const Given& users, const Given& positives,
                          const Given& negatives, const Result& grad_user,
                          const Result& grad_item) {
  const MatrixView<const float> user = float_matrix(user_vectors, "user_vectors");
  const MatrixView<const float> item = float_matrix(item_vectors, "item_vectors");
  require_same_width(user, item);
  const Ids of_users(users, "users", 1, user.rows, "users");
  const Ids of_positives(positives, "positives", 1, item.rows, "items");
  const Ids of_negatives(negatives, "negatives", 2, item.rows, "items");
  const BatchIds batch{of_users.vector(), of_positives.vector(), of_negatives.matrix()};
  BatchLossSettings settings;
  settings.kind = bpr ? Objective::bpr : Objective::infonce;
  settings.tau = tau;
  settings.score = cosine ? Score::cosine : Score::dot;
  require_batch(batch, settings);
  double loss = 0;
  batch_loss(*cpu_backend(), settings, user, item, batch,
             float_result(grad_user, "grad_user", user.rows, user.cols),
             float_result(grad_item, "grad_item", item.rows, item.cols), &loss);
  return loss;
}

}  // namespace

void bind_operators(nb::module_& module) {
  using Unlocked = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<TrainingGraph>(module, "Graph")
      .def(nb::init<const Csr&>(), Unlocked(), nb::arg("interactions"))
      .def_prop_ro("users", [](const TrainingGraph& g) { return g.graph().users(); })
      .def_prop_ro("items", [](const TrainingGraph& g) { return g.graph().items(); })
      .def_prop_ro("edges", [](const TrainingGraph& g) { return g.graph().edges(); });
  module.def("propagate", &propagate_rows, Unlocked(), nb::arg("graph"), nb::arg("x"),
             nb::arg("layers"), nb::arg("out"));
  module.def("mean_rows", &mean_rows, Unlocked(), nb::arg("graph"), nb::arg("x"), nb::arg("out"));
  module.def("mean_rows_adjoint", &mean_rows_adjoint, Unlocked(), nb::arg("graph"), nb::arg("grad"),
             nb::arg("out"));
  module.def("batch_loss", &loss_and_gradients, Unlocked(), nb::arg("bpr"), nb::arg("tau"),
             nb::arg("cosine"), nb::arg("user_vectors"), nb::arg("item_vectors"), nb::arg("users"),
             nb::arg("positives"), nb::arg("negatives"), nb::arg("grad_user"),
             nb::arg("grad_item"));
}

}  // namespace rec::python
