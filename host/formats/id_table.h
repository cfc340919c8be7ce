// items.tsv and users.tsv: "id <tab> original_id <tab> title", UTF-8, ids 0, 1, 2, ... each once in
// any order. A table of what comes after others has ids first, first + 1, ...
//
// A first line whose first field is not a number is a header. The title is everything after the
// second tab (it may hold tabs, which become spaces, or be missing: then it is the original id).
// CRLF and a byte order mark are accepted. Refused with the line: bytes that are not UTF-8, NUL, a
// missing field, an id or an original id twice, an empty original id, an id that leaves a gap.
// A file without any id is refused: leave the file away instead.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rec {

struct IdTable {
  std::vector<std::string> original_id;  // by id, from the first on
  std::vector<std::string> title;        // as above

  int64_t size() const { return static_cast<int64_t>(original_id.size()); }
};

IdTable parse_id_table(std::string_view text, const std::string& name, int64_t first = 0);
// user_list.txt and item_list.txt of LightGCN: words between blanks, a header that names org_id and
// remap_id, the number, among its columns. Refused as above, and a line of another width. The
// titles are the ids.
IdTable parse_id_list(std::string_view text, const std::string& name);
// Of lists in memory, a text for each number; either may be empty, then numbers stand for ids, and
// ids for titles. Blanks stand for tabs and line breaks in titles; refused in ids are these, and
// what is refused above.
IdTable id_table_of(std::vector<std::string> ids, std::vector<std::string> titles,
                    const std::string& name);
IdTable read_id_table(const std::string& path, int64_t first = 0);

// Where the text stops being UTF-8, or npos.
size_t first_invalid_utf8(std::string_view text);

}  // namespace rec
