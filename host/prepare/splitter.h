// Interactions into train, valid and test, and users and items numbered as a dataset has them.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "host/prepare/interaction_log.h"

namespace rec {

enum class SplitRule {
  random,         // each user's interactions by a seeded draw
  temporal,       // each user's by time, the earliest to train
  leave_one_out,  // each user's last to test and the one before to valid
  given,          // as the source has it
};

struct SplitPlan {
  SplitRule rule = SplitRule::random;
  std::array<double, 3> parts{4, 3, 3};  // of random and temporal: train, valid, test
  uint64_t seed = 101;
};

// Throws std::invalid_argument for what is no such word: "4:3:3", "temporal", "temporal:8:1:1",
// "leave-one-out".
SplitPlan split_plan(const std::string& word);

struct SplitLog {
  HostCsr train, valid, test;             // each [users, items]
  std::vector<int32_t> user_of, item_of;  // their numbers in the log
  int64_t without_training = 0;           // interactions of valid and test whose item has none
};

// A user's n interactions are shared out by largest remainder, one at least to train. An item that
// has none in train leaves valid and test. Users and items with interactions are numbered in the
// order of their numbers in the log. An interaction must stand in the log once.
SplitLog split(const InteractionLog& log, const SplitPlan& plan);

// How many of n go to each part; parts of 0 get none.
std::array<int64_t, 3> shares_of(int64_t n, const std::array<double, 3>& parts);

}  // namespace rec
