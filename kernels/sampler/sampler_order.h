// The order in which an epoch visits its positions:
// a keyed permutation of [0, size) without an array.
//
// A Feistel network over 2h bits (2^(2h) >= size, at most 4 size) is a bijection whatever its round
// function: each round (left, right) -> (right, left ^ F(right)) can be undone. Values that land
// outside [0, size) are sent through again until they land inside (cycle walking), which keeps it a
// bijection of [0, size) and takes fewer than 4 passes on average. The round function is Philox,
// keyed by the seed, with the epoch and the round in its counter. 6 rounds (4 already make a strong
// pseudorandom permutation, Luby and Rackoff 1988); 12 for halves of at most 4 bits, where 6 favour
// some places measurably.
#pragma once
#include <cstdint>

#include "kernels/sampler/philox.h"

namespace rec {

class EpochOrder {
 public:
  // size in [1, 2^62]
  constexpr EpochOrder(uint64_t seed, int64_t epoch, int64_t size)
      : seed_(seed), epoch_(uint32_t(epoch)), size_(uint64_t(size)), half_bits_(1) {
    while (half_bits_ < 31 && (uint64_t{1} << (2 * half_bits_)) < size_) ++half_bits_;
    rounds_ = half_bits_ <= kShortHalf ? 12 : 6;
  }

  // perm(position), position in [0, size)
  constexpr int64_t at(int64_t position) const {
    uint64_t x = uint64_t(position);
    do x = pass(x);
    while (x >= size_);
    return int64_t(x);
  }

 private:
  static constexpr int kShortHalf = 4;  // bits
  // The word where batch draws carry the row, which stays below this (kernels/sampler/sampler.h).
  static constexpr uint32_t kOrder = 0xFFFFFFFFu;

  constexpr uint64_t pass(uint64_t x) const {
    const uint32_t mask = uint32_t((uint64_t{1} << half_bits_) - 1);
    uint32_t left = uint32_t(x >> half_bits_) & mask;
    uint32_t right = uint32_t(x) & mask;
    for (uint32_t round = 0; round < rounds_; ++round) {
      const uint32_t mixed =
          philox(right, kOrder, round, epoch_, uint32_t(seed_), uint32_t(seed_ >> 32)).word[0];
      const uint32_t next = left ^ (mixed & mask);
      left = right;
      right = next;
    }
    return (uint64_t{left} << half_bits_) | right;
  }

  uint64_t seed_;
  uint32_t epoch_;
  uint64_t size_;
  int half_bits_;
  uint32_t rounds_ = 0;
};

}  // namespace rec
