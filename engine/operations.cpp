#include "engine/operations.h"

#include "engine/propagation.h"

namespace rec {
namespace {

// A BatchView's ids may be written, by who draws them. Here they are read alone.
BatchView view_of(const BatchIds& ids, const Groupings& groupings) {
  const auto writable = [](const int32_t* id) { return const_cast<int32_t*>(id); };
  return groupings.of(
      {writable(ids.user.data), ids.user.size}, {writable(ids.positive.data), ids.positive.size},
      {writable(ids.negative.data), ids.negative.rows, ids.negative.cols, ids.negative.stride});
}

}  // namespace

void propagate(Backend& backend, const Graph& graph, int layers, MatrixView<const float> x,
               MatrixView<float> e) {
  Propagation(backend, graph, layers, x.cols).apply(x, e, {});
}

void mean_of_items(Backend& backend, const Graph& graph, MatrixView<const float> x,
                   MatrixView<float> out) {
  backend.mean_of_items(graph.view(), x, out);
}

void mean_of_items_adjoint(Backend& backend, const Graph& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x) {
  backend.mean_of_items_adjoint(graph.view(), grad_out, grad_x);
}

BatchLoss::BatchLoss(Backend& backend, const BatchLossSettings& settings)
    : backend_(backend), settings_(settings) {
  require(settings.kind == Objective::infonce || settings.kind == Objective::bpr,
          "batch loss: the objective must be infonce or bpr");
}

void BatchLoss::make_room(const Shape& shape) {
  if (shape == shape_) return;
  const auto normalised = [&](int64_t rows) {
    return Normalised{Matrix<float>(backend_, rows, shape.dim), Array<float>(backend_, rows)};
  };
  shape_ = {};  // none, should memory run out
  groupings_ = Groupings(backend_, shape.users, shape.items, shape.rows, shape.negatives);
  batch_grad_ = BatchGradient(backend_, shape.rows, shape.negatives, shape.dim);
  if (settings_.score == Score::cosine) {
    user_ = normalised(shape.users);
    item_ = normalised(shape.items);
  }
  shape_ = shape;
}

void BatchLoss::differentiate(MatrixView<const float> user, MatrixView<const float> item,
                              const BatchIds& ids, MatrixView<float> grad_user,
                              MatrixView<float> grad_item, double* loss_sum) {
  make_room({user.rows, item.rows, user.cols, ids.user.size, ids.negative.cols});
  const BatchView batch = view_of(ids, groupings_);
  backend_.group_batch(batch);
  const bool is_cosine = settings_.score == Score::cosine;
  if (is_cosine) {
    backend_.normalise(user, user_.unit.view(), user_.norm.view());
    backend_.normalise(item, item_.unit.view(), item_.norm.view());
    user = user_.unit.view();
    item = item_.unit.view();
  }
  backend_.objective({settings_.kind, settings_.tau}, user, item, batch, {}, batch_grad_.view(),
                     grad_user, grad_item, loss_sum);
  if (is_cosine) {
    backend_.normalise_adjoint(user, user_.norm.view(), grad_user);
    backend_.normalise_adjoint(item, item_.norm.view(), grad_item);
  }
}

void batch_loss(Backend& backend, const BatchLossSettings& settings, MatrixView<const float> user,
                MatrixView<const float> item, const BatchIds& ids, MatrixView<float> grad_user,
                MatrixView<float> grad_item, double* loss_sum) {
  BatchLoss(backend, settings).differentiate(user, item, ids, grad_user, grad_item, loss_sum);
}

}  // namespace rec
