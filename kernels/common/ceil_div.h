// Division that rounds up: how many pieces of a size cover n things.
#pragma once
#include <cstdint>

namespace rec {

// n >= 0, size > 0
constexpr int64_t ceil_div(int64_t n, int64_t size) { return n / size + (n % size != 0); }

}  // namespace rec
