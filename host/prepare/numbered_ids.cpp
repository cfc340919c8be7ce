#include "host/prepare/numbered_ids.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "host/formats/id_table.h"
#include "host/formats/mapped_file.h"

namespace rec {

NumberedIds::NumberedIds(const std::string& file, Kind kind, IdDictionary& ids,
                         std::vector<std::string>& titles)
    : file_(file), ids_(ids) {
  if (file.empty()) return;
  IdTable table =
      kind == Kind::list ? parse_id_list(MappedFile(file).bytes(), file) : read_id_table(file);
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
