// The CPU backend: forwards each operation to rec::cpu's kernels.
#pragma once
#include <memory>

#include "engine/backend.h"

namespace rec {

// threads: 0 = all processors this process may use.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace rec
