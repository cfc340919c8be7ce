#include "host/python/native/operators.h"

#include <nanobind/stl/pair.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/graph.h"
#include "engine/operations.h"
#include "host/library/checks.h"
#include "host/library/place.h"
#include "host/library/placed_graph.h"
#include "host/python/native/csr.h"

namespace rec::python {
namespace {

// The interactions are kept, from which the graph is copied to wherever it is used.
class TrainingGraph {
 public:
  explicit TrainingGraph(const Csr& interactions) : graph_(interactions.view()) {}

  const Graph& graph() const { return graph_.on_host(); }
  const Graph& at(const Place& place) { return graph_.at(place); }

 private:
  PlacedGraph graph_;
};

using SaidPlace = std::pair<int, uint64_t>;

MatrixView<const float> matrix_with_rows(const Given& array, const char* name, int64_t rows,
                                         const char* of, const Place& place) {
  const MatrixView<const float> view = float_matrix(array, name, place);
  require_rows(view, name, rows, of);
  return view;
}

void propagate_rows(TrainingGraph& of, const Given& x, int layers, const Result& out,
                    const SaidPlace& said) {
  const Place place = place_of(said);
  const MatrixView<const float> from =
      matrix_with_rows(x, "x", of.graph().nodes(), "users and then items", place);
  const MatrixView<float> to = float_result(out, "out", from.rows, from.cols, place);
  const std::unique_ptr<Backend> backend = backend_at(place);
  propagate(*backend, of.at(place), layers, from, to);
}

void mean_rows(TrainingGraph& of, const Given& x, const Result& out, const SaidPlace& said) {
  const Place place = place_of(said);
  const MatrixView<const float> from = matrix_with_rows(x, "x", of.graph().items(), "items", place);
  const MatrixView<float> to = float_result(out, "out", of.graph().users(), from.cols, place);
  const std::unique_ptr<Backend> backend = backend_at(place);
  mean_of_items(*backend, of.at(place), from, to);
}

void mean_rows_adjoint(TrainingGraph& of, const Given& grad, const Result& out,
                       const SaidPlace& said) {
  const Place place = place_of(said);
  const MatrixView<const float> from =
      matrix_with_rows(grad, "grad", of.graph().users(), "users", place);
  const MatrixView<float> to = float_result(out, "out", of.graph().items(), from.cols, place);
  const std::unique_ptr<Backend> backend = backend_at(place);
  mean_of_items_adjoint(*backend, of.at(place), from, to);
}

// loss: float64 [1], zeroed.
void loss_and_gradients(bool bpr, float tau, bool cosine, const Given& user_vectors,
                        const Given& item_vectors, const Given& users, const Given& positives,
                        const Given& negatives, const Result& loss, const Result& grad_user,
                        const Result& grad_item, const SaidPlace& said) {
  const Place place = place_of(said);
  const MatrixView<const float> user = float_matrix(user_vectors, "user_vectors", place);
  const MatrixView<const float> item = float_matrix(item_vectors, "item_vectors", place);
  require_same_width(user, item);
  double* const loss_sum = double_result(loss, "loss", 1, place).data;
  const MatrixView<float> of_user =
                              float_result(grad_user, "grad_user", user.rows, user.cols, place),
                          of_item =
                              float_result(grad_item, "grad_item", item.rows, item.cols, place);
  const std::unique_ptr<Backend> backend = backend_at(place);
  const auto taken = [&](const Given& ids, const char* name, size_t dimensions, int64_t count,
                         const char* of) {
    return Ids(ids, name, dimensions, count, of, *backend, place, loss_sum);
  };
  const Ids of_users = taken(users, "users", 1, user.rows, "users");
  const Ids of_positives = taken(positives, "positives", 1, item.rows, "items");
  const size_t dimensions = bpr && negatives.ndim() == 1 ? 1 : 2;  // of one negative a row
  const Ids of_negatives = taken(negatives, "negatives", dimensions, item.rows, "items");
  const BatchIds batch{of_users.vector(), of_positives.vector(), of_negatives.matrix()};
  BatchLossSettings settings;
  settings.kind = bpr ? Objective::bpr : Objective::infonce;
  settings.tau = tau;
  settings.score = cosine ? Score::cosine : Score::dot;
  require_batch(batch, settings);
  batch_loss(*backend, settings, user, item, batch, of_user, of_item, loss_sum);
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
             nb::arg("layers"), nb::arg("out"), nb::arg("place"));
  module.def("mean_rows", &mean_rows, Unlocked(), nb::arg("graph"), nb::arg("x"), nb::arg("out"),
             nb::arg("place"));
  module.def("mean_rows_adjoint", &mean_rows_adjoint, Unlocked(), nb::arg("graph"), nb::arg("grad"),
             nb::arg("out"), nb::arg("place"));
  module.def("batch_loss", &loss_and_gradients, Unlocked(), nb::arg("bpr"), nb::arg("tau"),
             nb::arg("cosine"), nb::arg("user_vectors"), nb::arg("item_vectors"), nb::arg("users"),
             nb::arg("positives"), nb::arg("negatives"), nb::arg("loss"), nb::arg("grad_user"),
             nb::arg("grad_item"), nb::arg("place"));
}

}  // namespace rec::python
