// Whole pieces of `size` that n fill, the last perhaps in part.
#pragma once
#include <cstdint>

namespace rec {

constexpr int64_t ceil_div(int64_t n, int64_t size) { return (n + size - 1) / size; }

}  // namespace rec
