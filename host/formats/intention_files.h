// What `rec_engine intention` reads: queries, and which item each user's list should bring up. Users
// and items go by their numbers in the splits.
//
// A first line whose first field is not a number is a header. Fields stand between tabs, those after
// the ones named below are ignored. CRLF, a byte order mark and empty lines are accepted. Refused
// with the line: what is not UTF-8, NUL, what is not a number, a number out of range, an item (user)
// twice, a missing or empty field.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/intention_sweep.h"
#include "kernels/common/views.h"

namespace rec {

// "item <tab> query": an intention in words; its language vector is a row of another file.
struct IntentionQueries {
  std::vector<int32_t> item;      // of each line
  std::vector<std::string> text;  // of each line

  int64_t size() const { return int64_t(item.size()); }
};

// items: how many the dataset has.
IntentionQueries parse_intention_queries(std::string_view text, const std::string& name,
                                         int64_t items);

// "user <tab> item", ascending by user. test (host) [users, items]: a target must be one of her
// items there, and have a query: has_query [items].
std::vector<IntentionTarget> parse_intention_targets(std::string_view text, const std::string& name,
                                                     CsrView test,
                                                     const std::vector<uint8_t>& has_query);

}  // namespace rec
