#include "host/commands/list_array.h"

#include <fmt/format.h>

#include <vector>

namespace rec {
namespace {

struct Entry {
  int32_t item;
  float score;
};
static_assert(sizeof(Entry) == 8);  // as the file has it

}  // namespace

ListArray::ListArray(const std::string& file, int64_t lists, int64_t k)
    : file_(file, "[('item', '<i4'), ('score', '<f4')]", fmt::format("{}, {}", lists, k)) {}

void ListArray::add(const TopLists& lists) {
  std::vector<Entry> entries(lists.item.size());
  for (size_t n = 0; n < entries.size(); ++n) entries[n] = {lists.item[n], lists.score[n]};
  file_.write(entries.data(), sizeof(Entry) * entries.size());
}

}  // namespace rec
