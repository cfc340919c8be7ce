// A dataset with items or users that training knows nothing of, made from one where it knows more.
#pragma once
#include <cstdint>

#include "engine/host_csr.h"
#include "host/dataset/dataset.h"

namespace rec {

enum class Cold { items, users };
inline constexpr double kDefaultColdShare = 0.1;
// Throws std::invalid_argument unless it is above 0 and below 1.
void require_cold_share(double share);

struct ColdSplit {
  HostCsr train, valid, test;  // each [users, items]
  int64_t chosen = 0, among = 0;
  int64_t moved = 0;  // interactions
};

// Of the items with training interactions a share, rounded to a whole number, loses all in train and
// valid, which go to test. Of the users with training items a share loses these, which go to valid:
// her history, beside what she has there. All else stays.
// Chosen are those with the smallest draws; a draw is Philox's, keyed by (seed, id, items or users),
// so that a smaller share's are among a larger one's. Throws std::invalid_argument when the share
// chooses none or leaves nothing to train on.
ColdSplit cold_split(const Dataset& data, Cold cold, double share, uint64_t seed);
// The dataset with that split in the place of its own.
void take_split(Dataset& data, ColdSplit&& split);

}  // namespace rec
