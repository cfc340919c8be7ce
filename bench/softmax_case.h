// What both kinds of softmax are timed on, and counted on: a batch and unit rows of random direction.
#pragma once
#include <vector>

#include "bench/place.h"
#include "bench/shapes.h"
#include "kernels/softmax/softmax.h"

namespace rec::bench {

inline constexpr float kSoftmaxTau = 0.15f;

// What they read and write. Owns it where the place is the host.
struct SoftmaxCase {
  HostMatrix users, items, row_gradients, item_gradients;
  test::HostBatch drawn;
  std::vector<double> row_losses;
  double losses = 0;
  MatrixView<const float> user, item;
  BatchView batch;
  SoftmaxGradientView grad;
  double* loss_sum;

  SoftmaxCase(const Shape& shape, Place& place)
      : users(HostMatrix::random_unit_rows(shape.users, shape.dim, 1)),
        items(HostMatrix::random_unit_rows(shape.items, shape.dim, 2)),
        row_gradients(shape.batch, shape.dim),
        item_gradients(shape.items, shape.dim),
        drawn(drawn_batch(shape, 1)),
        row_losses(static_cast<size_t>(shape.batch)),
        user(place.put(users.view())),
        item(place.put(items.view())),
        batch(place.put(drawn.view())),
        grad{place.put(row_gradients.view()),
             place.put(VectorView<double>(row_losses.data(), shape.batch)),
             place.put(item_gradients.view())},
        loss_sum(place.put(VectorView<double>(&losses, 1)).data) {}
  SoftmaxCase(const SoftmaxCase&) = delete;
  SoftmaxCase& operator=(const SoftmaxCase&) = delete;
};

}  // namespace rec::bench
