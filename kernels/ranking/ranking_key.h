// A score and its item as one number that sorts as (higher score, then smaller id) does. Keys of
// different items are different, so the best k keys are the same set in whatever order they are
// found. No key of a finite score is 0.
#pragma once
#include <bit>
#include <cstdint>

namespace rec {

using RankingKey = uint64_t;

constexpr RankingKey key_of(float score, int64_t item) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 ties with 0
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return RankingKey{ascending} << 32 | ~uint32_t(item);
}
constexpr int32_t item_of(RankingKey key) { return int32_t(~uint32_t(key)); }
constexpr float score_of(RankingKey key) {
  const uint32_t ascending = uint32_t(key >> 32);
  return std::bit_cast<float>(ascending >> 31 ? ascending & 0x7FFFFFFFu : ~ascending);
}

}  // namespace rec
