// The frozen language vectors in a backend's memory, arranged for the projector's first layer.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/backend.h"
#include "engine/buffer.h"
#include "kernels/common/views.h"
#include "kernels/language_projection/language_projection.h"

namespace rec {

class LanguageVectors {
 public:
  // z (host): [items, language_width].  train (host): [users, items].
  // Users with more than backend.hybrid_degree(width) training
  // items keep their mean vector as a row.
  LanguageVectors(Backend& backend, MatrixView<const float> z, CsrView train);
  // As above with a threshold of the caller's: 0 keeps every user's mean, INT64_MAX nobody's.
  LanguageVectors(Backend& backend, MatrixView<const float> z, CsrView train,
                  int64_t hybrid_degree);

  StoredLanguage view() const;
  int64_t width() const { return item_.cols(); }
  int64_t heavy_users() const { return heavy_user_.size(); }

 private:
  StoredMatrix item_, heavy_;
  Array<int32_t> heavy_user_, light_user_;
  Array<int64_t> light_start_;
  Array<int32_t> light_user_of_item_;
  int64_t users_;
};

// out [width] = mean of z's rows listed in items (host); zeros when the list is empty.
void mean_language_vector(MatrixView<const float> z, VectorView<const int32_t> items, float* out);

}  // namespace rec
