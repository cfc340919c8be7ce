// Ids as somebody else's files have them, any text, numbered in the order in which they first come.
#pragma once
#include <tsl/robin_map.h>
#include <xxhash.h>

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace rec {

class IdDictionary {
 public:
  // The id's number; a new one where it has not come before.
  int32_t number_of(std::string_view id);
  // The id's number, or -1.
  int32_t find(std::string_view id) const;
  std::string_view id(int32_t number) const { return ids_[size_t(number)]; }
  int64_t size() const { return int64_t(ids_.size()); }

 private:
  struct Hash {
    size_t operator()(std::string_view id) const { return XXH3_64bits(id.data(), id.size()); }
  };
  std::string_view kept(std::string_view id);

  std::deque<std::vector<char>> blocks_;  // the ids' bytes, which do not move
  std::vector<std::string_view> ids_;
  tsl::robin_map<std::string_view, int32_t, Hash> numbers_;
};

}  // namespace rec
