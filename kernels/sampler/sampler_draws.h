// The arithmetic of one draw, shared by every backend.
#pragma once
#include <cstdint>

namespace rec {

// floor(word * n / 2^32): uniform in [0, n) up to a bias below n / 2^32. n in [1, 2^31).
constexpr int32_t uniform_below(uint32_t word, int32_t n) {
  return int32_t((uint64_t{word} * uint32_t(n)) >> 32);
}

// The rank-th smallest item that is not in owned (ascending, degree items), rank from 0: rank plus
// the number of owned items before it, |{k : owned[k] - k <= rank}|,
// by a binary search without branches.
constexpr int32_t item_outside(int32_t rank, const int32_t* owned, int32_t degree) {
  int32_t before = 0;  // owned[k] - k <= rank for every k < before
  int32_t length = degree;
  while (length > 0) {
    const int32_t half = (length + 1) / 2;
    const int32_t probe = before + half - 1;
    before += owned[probe] - probe <= rank ? half : 0;
    length -= half;
  }
  return rank + before;
}

}  // namespace rec
