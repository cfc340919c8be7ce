#include "host/prepare/numbered_ids.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "host/formats/id_table.h"
#include "host/prepare/byte_source.h"

namespace rec {
namespace {

// All of a file, decompressed where it is compressed.
std::string text_of(const std::string& path) {
  constexpr size_t kAtOnce = size_t{1} << 20;
  ByteSource source(path);
  std::string text;
  for (size_t size = 0;;) {
    text.resize(size + kAtOnce);
    const size_t got = source.read(text.data() + size, kAtOnce);
    size += got;
    if (got > 0) continue;
    text.resize(size);
    return text;
  }
}

}  // namespace

NumberedIds::NumberedIds(const std::string& file, Kind kind, IdDictionary& ids,
                         std::vector<std::string>& titles)
    : file_(file), ids_(ids) {
  if (file.empty()) return;
  const std::string text = text_of(file);
  IdTable table = kind == Kind::list ? parse_id_list(text, file) : parse_id_table(text, file);
  rows_ = table.size();
  for (const std::string& id : table.original_id) ids_.number_of(id);
  if (kind == Kind::table) titles = std::move(table.title);
}

int32_t NumberedIds::number_of(int32_t number, const RecordReader& records) {
  if (file_.empty()) return ids_.number_of(std::to_string(number));
  if (number >= rows_)
    records.refuse(
        fmt::format("{} is a number beyond the {} rows of {}; the two must belong together", number,
                    rows_, std::filesystem::path(file_).filename().string()));
  return number;
}

}  // namespace rec
