// Anybody's vectors as scores are taken of them: as they are for dot products, unit copies for cosines.
#pragma once
#include "engine/backend.h"
#include "engine/buffer.h"
#include "engine/representations.h"
#include "kernels/common/views.h"

namespace rec {

class ScoredVectors {
 public:
  // user [users, dim] and item [items, dim] in backend memory, which must outlive this. Throws std::invalid_argument
  // where they are of different widths, or of none.
  ScoredVectors(Backend& backend, MatrixView<const float> user, MatrixView<const float> item,
                Score score);
  MatrixView<const float> user() const { return user_; }
  MatrixView<const float> item() const { return item_; }

 private:
  MatrixView<const float> user_, item_;
  Matrix<float> unit_user_, unit_item_;
};

}  // namespace rec
