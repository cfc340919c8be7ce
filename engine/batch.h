// Backend memory for a batch, and for what an objective makes of it.
#pragma once
#include "engine/backend.h"
#include "engine/buffer.h"

namespace rec {

// Of batches of one shape, whose ids lie elsewhere.
class Groupings {
 public:
  Groupings() = default;
  Groupings(Backend& backend, int64_t users, int64_t items, int64_t rows, int64_t negatives);
  BatchView of(VectorView<int32_t> user, VectorView<int32_t> positive,
               MatrixView<int32_t> negative) const;

 private:
  Array<int64_t> user_start_, item_start_;
  Array<int32_t> user_row_, item_use_;
};

// The ids and the groupings.
class Batch {
 public:
  Batch(Backend& backend, int64_t users, int64_t items, int64_t rows, int64_t negatives);
  BatchView view() const;

 private:
  Array<int32_t> user_, positive_;
  Matrix<int32_t> negative_;
  Groupings groupings_;
};

class BatchGradient {
 public:
  BatchGradient() = default;
  BatchGradient(Backend& backend, int64_t rows, int64_t negatives, int64_t dim);
  BatchGradientView view() const;

 private:
  Matrix<float> score_;     // [batch, 1 + negatives]
  Matrix<float> user_row_;  // [batch, dim]
  Array<double> row_loss_;  // [batch]
};

}  // namespace rec
