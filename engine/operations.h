// Single operations of a training step, on arrays of the caller's: what research code puts its own
// steps together from. The projector, which keeps something between its two, is
// engine/projector.h's NodeProjector.
//
// Every view lies in the backend's memory; results are overwritten and may not overlap what is
// read. Shapes are checked, ids are not: users, positives and negatives out of range are for the
// caller to refuse, or, where ids lie in memory that the host does not see, for Backend::take_ids.
#pragma once
#include <cstdint>

#include "engine/backend.h"
#include "engine/batch.h"
#include "engine/buffer.h"
#include "engine/graph.h"
#include "engine/representations.h"

namespace rec {

// e = 1/(K+1) sum_{k=0..K} A~^k x over all nodes [nodes, width], K = layers; its own adjoint.
// Allocates 2 e's: who propagates often keeps a Propagation (engine/propagation.h).
void propagate(Backend& backend, const Graph& graph, int layers, MatrixView<const float> x,
               MatrixView<float> e);

// out [users, width] = the mean of x's rows [items, width] over each user's training items; 0 for
// users without any.
void mean_of_items(Backend& backend, const Graph& graph, MatrixView<const float> x,
                   MatrixView<float> out);
void mean_of_items_adjoint(Backend& backend, const Graph& graph, MatrixView<const float> grad_out,
                           MatrixView<float> grad_x);

struct BatchIds {
  VectorView<const int32_t> user, positive;  // [batch]
  MatrixView<const int32_t> negative;        // [batch, negatives], item ids, stride == cols
};

struct BatchLossSettings {
  Objective kind = Objective::infonce;  // or bpr, which takes one negative a row
  float tau = 0.15f;                    // of infonce
  Score score = Score::cosine;
};

// The mean loss of a batch and its gradients. Keeps its memory as long as the shapes stay.
class BatchLoss {
 public:
  // backend must outlive it.
  BatchLoss(Backend& backend, const BatchLossSettings& settings);

  // user [users, dim], item [items, dim]: e, not normalised. grad_user, grad_item: d loss / d e.
  // The loss is added to *loss_sum.
  void differentiate(MatrixView<const float> user, MatrixView<const float> item,
                     const BatchIds& ids, MatrixView<float> grad_user, MatrixView<float> grad_item,
                     double* loss_sum);

 private:
  struct Shape {
    int64_t users = 0, items = 0, dim = 0, rows = 0, negatives = 0;
    bool operator==(const Shape&) const = default;
  };
  // Unit rows and what they were divided by; of cosines alone.
  struct Normalised {
    Matrix<float> unit;
    Array<float> norm;
  };
  void make_room(const Shape& shape);

  Backend& backend_;
  BatchLossSettings settings_;
  Shape shape_;
  Groupings groupings_;
  BatchGradient batch_grad_;
  Normalised user_, item_;
};

// Once: allocates what a BatchLoss keeps, which takes about a quarter of its time again.
void batch_loss(Backend& backend, const BatchLossSettings& settings, MatrixView<const float> user,
                MatrixView<const float> item, const BatchIds& ids, MatrixView<float> grad_user,
                MatrixView<float> grad_item, double* loss_sum);

}  // namespace rec
