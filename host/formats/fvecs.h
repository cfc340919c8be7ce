// The .fvecs format of vector search (http://corpus-texmex.irisa.fr): each row is its width as int32,
// then its values as float32, little-endian.
#pragma once
#include <string>

#include "kernels/common/views.h"

namespace rec {

void write_fvecs(const std::string& path, MatrixView<const float> values);

}  // namespace rec
