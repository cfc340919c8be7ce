#include "host/prepare/id_dictionary.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace rec {

std::string_view IdDictionary::kept(std::string_view id) {
  constexpr size_t kBlockBytes = size_t{1} << 16;
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < id.size())
    blocks_.emplace_back().reserve(std::max(kBlockBytes, id.size()));
  std::vector<char>& block = blocks_.back();
  const size_t first = block.size();
  block.insert(block.end(), id.begin(), id.end());
  return {block.data() + first, id.size()};
}

int32_t IdDictionary::number_of(std::string_view id) { return number_of(id, Hash()(id)); }

void IdDictionary::add_numbers_of(const IdBatch& ids, std::vector<int32_t>& numbers) {
  constexpr size_t kAtOnce = 256;
  std::array<size_t, kAtOnce> hash;
  for (size_t first = 0; first < ids.size(); first += kAtOnce) {
    const size_t some = std::min(kAtOnce, ids.size() - first);
    for (size_t n = 0; n < some; ++n) hash[n] = Hash()(ids[first + n]);
    for (size_t n = 0; n < some; ++n) numbers.push_back(number_of(ids[first + n], hash[n]));
  }
}

int32_t IdDictionary::number_of(std::string_view id, size_t hash) {
  const auto known = numbers_.find(id, hash);
  if (known != numbers_.end()) return known->second;
  if (size() == INT32_MAX) throw std::length_error("more than 2147483647 different ids");
  ids_.push_back(kept(id));
  const auto number = int32_t(size() - 1);
  numbers_.emplace(ids_.back(), number);
  return number;
}

int32_t IdDictionary::find(std::string_view id) const {
  const auto known = numbers_.find(id);
  return known == numbers_.end() ? -1 : known->second;
}

}  // namespace rec
