// Arrays in a backend's memory, for tests.
#pragma once
#include <vector>

#include "engine/backend.h"

namespace rec::test {

template <class T>
std::vector<T> to_host(Backend& backend, VectorView<T> v) {
  std::vector<T> host(static_cast<size_t>(v.size));
  backend.download(host.data(), v.data, sizeof(T) * host.size());
  return host;
}

inline std::vector<float> to_host(Backend& backend, MatrixView<const float> m) {
  std::vector<float> host(size_t(m.rows * m.cols));
  for (int64_t r = 0; r < m.rows; ++r)
    backend.download(host.data() + r * m.cols, m.row(r), sizeof(float) * size_t(m.cols));
  return host;
}

}  // namespace rec::test
