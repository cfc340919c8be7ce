#include "host/formats/id_table.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"

namespace rec {

size_t first_invalid_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i);
    size_t length = 1;
    uint32_t code = lead, smallest = 0;
    const auto begins = [&](size_t bytes, uint32_t payload, uint32_t least) {
      length = bytes;
      code = lead & payload;
      smallest = least;
    };
    if (lead >= 0xF8) return i;
    if (lead >= 0xF0)
      begins(4, 0x07, 0x10000);
    else if (lead >= 0xE0)
      begins(3, 0x0F, 0x800);
    else if (lead >= 0xC0)
      begins(2, 0x1F, 0x80);
    else if (lead >= 0x80)
      return i;
    if (i + length > text.size()) return i;
    for (size_t c = 1; c < length; ++c) {
      if ((byte(i + c) & 0xC0) != 0x80) return i;
      code = (code << 6) | (byte(i + c) & 0x3F);
    }
    if (code < smallest || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return i;
    i += length;
  }
  return std::string_view::npos;
}

namespace {

constexpr std::string_view kNotInIds("\t\r\n\0", 4);

struct Row {
  int64_t id, line;
  std::string_view original, title;
};

void require_text(std::string_view row, const std::string& name, int64_t line) {
  if (first_invalid_utf8(row) != std::string_view::npos)
    throw FileError(name, line, "is not UTF-8; convert the file, for instance with iconv");
  if (row.find('\0') != std::string_view::npos)
    throw FileError(name, line, "holds a NUL byte; the file is damaged or not text");
}

// A number and nothing else.
bool parse_id(std::string_view text, int64_t& id) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && rest == text.data() + text.size();
}

// Rows in any order, each of the ids first, first + 1, ... once.
IdTable table_of(const std::vector<Row>& rows, const std::string& name, int64_t first) {
  IdTable table;
  table.original_id.resize(rows.size());
  table.title.resize(rows.size());
  std::vector<uint8_t> taken(rows.size(), 0);
  std::unordered_map<std::string_view, int64_t> line_of;  // of an original id
  for (const Row& row : rows) {
    if (row.id < first)
      throw FileError(name, row.line,
                      "id " + std::to_string(row.id) + " is taken: the first new one is " +
                          std::to_string(first));
    if (row.id - first >= int64_t(rows.size())) {
      const std::string from = std::to_string(first);
      const std::string wanted = rows.size() == 1
                                     ? "the only line must carry the id " + from
                                     : std::to_string(rows.size()) + " lines must carry the ids " +
                                           from + ", " + std::to_string(first + 1) +
                                           (rows.size() == 2 ? "" : ", ...") + " each once";
      throw FileError(name, row.line, "id " + std::to_string(row.id) + " leaves a gap: " + wanted);
    }
    const auto id = static_cast<size_t>(row.id - first);
    if (taken[id])
      throw FileError(name, row.line, "id " + std::to_string(row.id) + " stands twice");
    taken[id] = 1;
    if (row.original.empty())
      throw FileError(name, row.line, "has no original id between its tabs; give it one");
    const auto [earlier, is_first] = line_of.emplace(row.original, row.line);
    if (!is_first)
      throw FileError(name, row.line,
                      "original id '" + std::string(row.original) + "' stands on line " +
                          std::to_string(earlier->second) + " too; each must be there once");
    table.original_id[id] = row.original;
    table.title[id] = row.title;
    std::replace(table.title[id].begin(), table.title[id].end(), '\t', ' ');
  }
  return table;
}

// What stands between blanks or tabs.
std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kBlanks = " \t";
  std::vector<std::string_view> words;
  for (size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kBlanks, end);
  }
  return words;
}

}  // namespace

IdTable parse_id_table(std::string_view text, const std::string& name, int64_t first) {
  std::vector<Row> rows;
  for_each_line(text, [&](std::string_view row, int64_t line) {
    if (row.empty()) return;
    require_text(row, name, line);
    const size_t first_tab = row.find('\t');
    const std::string_view id_text = row.substr(0, first_tab);
    int64_t id = 0;
    const bool is_number = parse_id(id_text, id);
    if (!is_number && line == 1) return;  // the header
    if (!is_number || id < 0)
      throw FileError(name, line, "must begin with an id, a number from 0, and a tab");
    if (first_tab == std::string_view::npos)
      throw FileError(name, line, "has no tab; a line is 'id<tab>original_id<tab>title'");
    const std::string_view fields = row.substr(first_tab + 1);
    const size_t second_tab = fields.find('\t');
    const std::string_view original = fields.substr(0, second_tab);
    rows.push_back(
        {id, line, original,
         second_tab == std::string_view::npos ? original : fields.substr(second_tab + 1)});
  });
  if (rows.empty()) throw FileError(name, "holds no ids; a line is 'id<tab>original_id<tab>title'");
  return table_of(rows, name, first);
}

IdTable parse_id_list(std::string_view text, const std::string& name) {
  std::vector<Row> rows;
  size_t columns = 0, original = 0, number = 0;
  for_each_line(text, [&](std::string_view row, int64_t line) {
    require_text(row, name, line);
    const std::vector<std::string_view> words = words_of(row);
    if (words.empty()) return;
    if (columns == 0) {
      const auto column = [&](std::string_view wanted) {
        const auto found = std::find(words.begin(), words.end(), wanted);
        if (found == words.end())
          throw FileError(name, line,
                          "must be a header that names org_id and remap_id, as LightGCN's lists "
                          "begin");
        return size_t(found - words.begin());
      };
      columns = words.size();
      original = column("org_id");
      number = column("remap_id");
      return;
    }
    if (words.size() != columns)
      throw FileError(name, line,
                      "has " + std::to_string(words.size()) + " words, not the " +
                          std::to_string(columns) + " of the header; an id may hold no blank");
    int64_t id = 0;
    if (!parse_id(words[number], id) || id < 0)
      throw FileError(name, line,
                      "remap_id '" + excerpt(words[number]) + "' is no number from 0 on");
    rows.push_back({id, line, words[original], words[original]});
  });
  if (rows.empty()) throw FileError(name, "holds no ids; a line is 'org_id remap_id'");
  return table_of(rows, name, 0);
}

IdTable id_table_of(std::vector<std::string> ids, std::vector<std::string> titles,
                    const std::string& name) {
  if (!ids.empty() && !titles.empty() && ids.size() != titles.size())
    throw FileError(name, "has " + std::to_string(ids.size()) + " ids, but " +
                              std::to_string(titles.size()) + " titles");
  for (size_t i = 0; ids.size() < titles.size(); ++i) ids.push_back(std::to_string(i));
  std::unordered_map<std::string_view, size_t> number_of;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto refuse = [&](const std::string& why) {
      throw FileError(name, "number " + std::to_string(i) + " " + why);
    };
    if (ids[i].empty()) refuse("has an empty id; give it one");
    if (ids[i].find_first_of(kNotInIds) != std::string::npos)
      refuse("has an id with a tab, a line break or a NUL; an id is part of a line of text");
    const auto [earlier, is_first] = number_of.emplace(ids[i], i);
    if (!is_first)
      refuse("has the id '" + ids[i] + "', as number " + std::to_string(earlier->second) +
             " has; each must be there once");
    if (first_invalid_utf8(ids[i]) != std::string_view::npos ||
        (i < titles.size() && first_invalid_utf8(titles[i]) != std::string_view::npos))
      refuse("has a text that is not UTF-8");
  }
  if (titles.empty()) titles = ids;
  for (std::string& title : titles)
    std::replace_if(
        title.begin(), title.end(),
        [](char c) { return kNotInIds.find(c) != std::string_view::npos; }, ' ');
  return {std::move(ids), std::move(titles)};
}

IdTable read_id_table(const std::string& path, int64_t first) {
  return parse_id_table(MappedFile(path).bytes(), path, first);
}

}  // namespace rec
