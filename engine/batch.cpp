#include "engine/batch.h"

namespace rec {

Groupings::Groupings(Backend& backend, int64_t users, int64_t items, int64_t rows,
                     int64_t negatives)
    : user_start_(backend, users + 1),
      item_start_(backend, items + 1),
      user_row_(backend, rows),
      item_use_(backend, rows * (1 + negatives)) {}

BatchView Groupings::of(VectorView<int32_t> user, VectorView<int32_t> positive,
                        MatrixView<int32_t> negative) const {
  return {user,
          positive,
          negative,
          user_start_.view(),
          user_row_.view(),
          item_start_.view(),
          item_use_.view()};
}

Batch::Batch(Backend& backend, int64_t users, int64_t items, int64_t rows, int64_t negatives)
    : user_(backend, rows),
      positive_(backend, rows),
      negative_(backend, rows, negatives),
      groupings_(backend, users, items, rows, negatives) {}

BatchView Batch::view() const {
  return groupings_.of(user_.view(), positive_.view(), negative_.view());
}

BatchGradient::BatchGradient(Backend& backend, int64_t rows, int64_t negatives, int64_t dim)
    : score_(backend, rows, 1 + negatives),
      user_row_(backend, rows, dim),
      row_loss_(backend, rows) {}

BatchGradientView BatchGradient::view() const {
  return {score_.view(), user_row_.view(), row_loss_.view()};
}

}  // namespace rec
