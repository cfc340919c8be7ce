// Ids as somebody else's files have them, any text, numbered in the order in which they first come.
#pragma once
#include <tsl/robin_map.h>
#include <xxhash.h>

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace rec {

// Ids one behind the other, in one piece of memory.
class IdBatch {
 public:
  void add(std::string_view id) {
    bytes_.insert(bytes_.end(), id.begin(), id.end());
    end_.push_back(bytes_.size());
  }
  std::string_view operator[](size_t n) const {
    const size_t begin = n == 0 ? 0 : end_[n - 1];
    return {bytes_.data() + begin, end_[n] - begin};
  }
  size_t size() const { return end_.size(); }
  void clear() {
    bytes_.clear();
    end_.clear();
  }

 private:
  std::vector<char> bytes_;
  std::vector<size_t> end_;
};

class IdDictionary {
 public:
  // The id's number; a new one where it has not come before.
  int32_t number_of(std::string_view id);
  // Adds the numbers of all to `numbers`. Faster than one by one: a lookup waits for memory, and these
  // wait together.
  void add_numbers_of(const IdBatch& ids, std::vector<int32_t>& numbers);
  // The id's number, or -1.
  int32_t find(std::string_view id) const;
  std::string_view id(int32_t number) const { return ids_[size_t(number)]; }
  int64_t size() const { return int64_t(ids_.size()); }

 private:
  struct Hash {
    size_t operator()(std::string_view id) const { return XXH3_64bits(id.data(), id.size()); }
  };
  int32_t number_of(std::string_view id, size_t hash);
  std::string_view kept(std::string_view id);

  std::deque<std::vector<char>> blocks_;  // the ids' bytes, which do not move
  std::vector<std::string_view> ids_;
  tsl::robin_map<std::string_view, int32_t, Hash> numbers_;
};

}  // namespace rec
