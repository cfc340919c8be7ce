// A user the model never saw, served on the frozen graph from her history h of n items:
//
//   e_u = (e0_u + sum_{i in h} S_i / sqrt(n (d_i + 1))) / (K + 1),    S_i = sum_{k < K} e_i^(k)
//
// with e0_u the projected mean of her items' language vectors and d_i the items' training degrees.
// Equal to a rebuilt graph for K <= 1; for K >= 2 a rebuild would also move her items' other users.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/model.h"

namespace rec {

// history: item ids, ascending, without repeats, not empty. z (host): [items, language_width].
// The model must have been embedded. Returns her scored vector
// [dim] (unit length for cosine), on the host.
std::vector<float> new_user_vector(Model& model, MatrixView<const float> z, CsrView train,
                                   const std::vector<int32_t>& history);

}  // namespace rec
