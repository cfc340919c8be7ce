#include "host/dataset/id_numbers.h"

#include <charconv>

namespace rec {

IdNumbers::IdNumbers(const std::vector<std::string>& original_id, int64_t count)
    : count_(count), has_ids_(!original_id.empty()) {
  for (size_t i = 0; i < original_id.size(); ++i) number_.emplace(original_id[i], int32_t(i));
}

std::optional<int32_t> IdNumbers::find(std::string_view id) const {
  if (has_ids_) {
    const auto at = number_.find(id);
    return at == number_.end() ? std::nullopt : std::optional(at->second);
  }
  int64_t number = -1;
  const auto [rest, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool is_number = error == std::errc() && rest == id.data() + id.size();
  return is_number && number >= 0 && number < count_ ? std::optional(int32_t(number))
                                                     : std::nullopt;
}

}  // namespace rec
