#include "host/library/scored_vectors.h"

#include "host/library/checks.h"

namespace rec {
namespace {

Matrix<float> normalised(Backend& backend, MatrixView<const float> x) {
  Matrix<float> unit(backend, x.rows, x.cols);
  const Array<float> norm(backend, x.rows);
  backend.normalise(x, unit.view(), norm.view());
  return unit;
}

}  // namespace

ScoredVectors::ScoredVectors(Backend& backend, MatrixView<const float> user,
                             MatrixView<const float> item, Score score)
    : user_(user), item_(item) {
  require_same_width(user, item);
  if (score == Score::dot) return;
  unit_user_ = normalised(backend, user);
  unit_item_ = normalised(backend, item);
  user_ = unit_user_.view();
  item_ = unit_item_.view();
}

}  // namespace rec
