#include "host/commands/item_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "host/dataset/id_numbers.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

std::vector<int32_t> ids_named(const std::vector<std::string>& names,
                               const std::vector<std::string>& originals, int64_t count,
                               const char* kind, const std::string& dataset) {
  const IdNumbers numbers(originals, count);
  std::vector<int32_t> ids;
  for (const std::string& name : names) {
    const std::optional<int32_t> number = numbers.find(name);
    if (!number)
      throw std::invalid_argument(
          fmt::format("there is no {} '{}' in {}; ", kind, name, dataset) +
          (originals.empty() ? fmt::format("{}s are numbered 0 to {}", kind, count - 1)
                             : fmt::format("ids are those of the second column of {}s.tsv", kind)));
    ids.push_back(*number);
  }
  return ids;
}

}  // namespace

std::vector<std::string> split_list(const std::string& text, const std::string& option) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin)
      throw std::invalid_argument(option + " " + text + ": a value between the commas is missing");
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<int32_t> items_named(const Dataset& data, const std::vector<std::string>& names) {
  return ids_named(names, data.item_table.original_id, data.items, "item", data.name);
}

std::vector<int32_t> users_named(const Dataset& data, const std::vector<std::string>& names) {
  return ids_named(names, data.user_table.original_id, data.users, "user", data.name);
}

std::vector<std::string> read_names(const std::string& file) {
  const MappedFile mapped(file);
  std::vector<std::string> names;
  for_each_line(mapped.bytes(), [&](std::string_view line, int64_t) {
    if (!line.empty()) names.emplace_back(line);
  });
  return names;
}

std::vector<std::vector<std::string>> read_name_lists(const std::string& file) {
  std::vector<std::vector<std::string>> lists;
  for (const std::string& line : read_names(file)) {
    std::vector<std::string> names;
    for (size_t begin = 0; begin < line.size();) {
      const size_t end = std::min(line.find('\t', begin), line.size());
      if (end > begin) names.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
    if (!names.empty()) lists.push_back(std::move(names));
  }
  return lists;
}

std::vector<uint8_t> allowed_items(const Dataset& data, const std::string& only_file,
                                   const std::string& exclude_file) {
  if (only_file.empty() && exclude_file.empty()) return {};
  std::vector<uint8_t> allowed(static_cast<size_t>(data.items), only_file.empty() ? 1 : 0);
  if (!only_file.empty())
    for (int32_t item : items_named(data, read_names(only_file))) allowed[size_t(item)] = 1;
  if (!exclude_file.empty())
    for (int32_t item : items_named(data, read_names(exclude_file))) allowed[size_t(item)] = 0;
  return allowed;
}

}  // namespace rec
