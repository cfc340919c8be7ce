// Arrays in a backend's memory, for tests; matrices by to_host of engine/buffer.h.
#pragma once
#include <vector>

#include "engine/buffer.h"

namespace rec::test {

template <class T>
std::vector<T> to_host(Backend& backend, VectorView<T> v) {
  std::vector<T> host(static_cast<size_t>(v.size));
  backend.download(host.data(), v.data, sizeof(T) * host.size());
  return host;
}

}  // namespace rec::test
