#include "engine/representations.h"

namespace rec {

Representations::Representations(Backend& backend, Score score, int64_t users, int64_t items,
                                 int64_t dim)
    : backend_(backend),
      score_(score),
      users_(users),
      items_(items),
      raw_(backend, users + items, dim) {
  if (score_ == Score::cosine) {
    unit_ = Matrix<float>(backend, users + items, dim);
    norm_ = Array<float>(backend, users + items);
  }
}

void Representations::make_scored() {
  if (score_ == Score::cosine) backend_.normalise(raw_.view(), unit_.view(), norm_.view());
}

MatrixView<const float> Representations::scored() const {
  return score_ == Score::cosine ? unit_.view() : raw_.view();
}

void Representations::gradient_to_raw(MatrixView<float> grad) const {
  if (score_ == Score::cosine) backend_.normalise_adjoint(unit_.view(), norm_.view(), grad);
}

}  // namespace rec
