// The numbers that users' or items' ids stand for.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rec {

class IdNumbers {
 public:
  // original_id: by number, and must outlive this; or empty, where the numbers from 0 to below count are the ids.
  IdNumbers(const std::vector<std::string>& original_id, int64_t count);
  std::optional<int32_t> find(std::string_view id) const;

 private:
  int64_t count_;
  bool has_ids_;
  std::unordered_map<std::string_view, int32_t> number_;
};

}  // namespace rec
