// The vectors that scores are taken of: an encoder's output,
// normalised when the score is the cosine.
#pragma once
#include "engine/backend.h"
#include "engine/buffer.h"
#include "kernels/common/views.h"

namespace rec {

enum class Score { cosine, dot };

class Representations {
 public:
  Representations(Backend& backend, Score score, int64_t users, int64_t items, int64_t dim);

  // Where the encoder writes e [nodes, dim].
  MatrixView<float> raw() const { return raw_.view(); }
  // Call after the encoder has written raw().
  void make_scored();
  // n (cosine) or e (dot), after make_scored.
  MatrixView<const float> scored() const;
  MatrixView<const float> user() const { return scored().rows_from(0, users_); }
  MatrixView<const float> item() const { return scored().rows_from(users_, items_); }
  // grad: d loss / d scored on entry, d loss / d e on return.
  void gradient_to_raw(MatrixView<float> grad) const;

 private:
  Backend& backend_;
  Score score_;
  int64_t users_, items_;
  Matrix<float> raw_, unit_;
  Array<float> norm_;
};

}  // namespace rec
