#include "host/formats/item_texts.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "host/formats/blanks.h"
#include "host/formats/file_error.h"
#include "host/formats/id_table.h"
#include "host/formats/lines.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

const std::vector<std::string> kColumns = {"item", "original_id", "title"};  // without a header

std::string_view without_blanks(std::string_view text) {
  const auto strip = [&](auto begins_or_ends, auto take) {
    for (bool found = true; found;) {
      found = false;
      for (const std::string_view blank : kBlanks)
        if (begins_or_ends(blank)) {
          take(blank.size());
          found = true;
        }
    }
  };
  strip([&](std::string_view blank) { return text.starts_with(blank); },
        [&](size_t bytes) { text.remove_prefix(bytes); });
  strip([&](std::string_view blank) { return text.ends_with(blank); },
        [&](size_t bytes) { text.remove_suffix(bytes); });
  return text;
}

// At most so many fields; the last one holds the rest.
std::vector<std::string_view> fields_of(std::string_view line, size_t most) {
  std::vector<std::string_view> fields;
  while (fields.size() + 1 < most) {
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos) break;
    fields.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  fields.push_back(line);
  return fields;
}

bool begins_with_number(std::string_view line) {
  const std::string_view word = line.substr(0, line.find('\t'));
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && rest == word.data() + word.size();
}

// Where each column stands among the names.
std::vector<size_t> places_of(const std::vector<std::string>& columns,
                              const std::vector<std::string>& names, const std::string& name) {
  std::vector<size_t> places;
  for (const std::string& column : columns) {
    const auto at = std::find(names.begin(), names.end(), column);
    if (at == names.end())
      throw NoSuchColumn(
          name, 1, fmt::format("has no column '{}'; there are {}", column, fmt::join(names, ", ")));
    places.push_back(size_t(at - names.begin()));
  }
  return places;
}

}  // namespace

ItemTexts parse_item_texts(std::string_view table, const std::string& name,
                           const std::vector<std::string>& columns) {
  const auto items = size_t(parse_id_table(table, name).size());
  ItemTexts texts{std::vector<std::string>(items), std::vector<int64_t>(items)};
  std::vector<std::string> names = kColumns;
  std::vector<size_t> places;
  for_each_line(table, [&](std::string_view line, int64_t number) {
    if (line.empty()) return;
    if (number == 1 && !begins_with_number(line)) {
      const std::vector<std::string_view> words = fields_of(line, line.size() + 1);
      names.assign(words.begin(), words.end());
      return;
    }
    if (places.empty()) places = places_of(columns, names, name);
    const std::vector<std::string_view> fields = fields_of(line, std::max<size_t>(names.size(), 2));
    size_t item = 0;
    std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), item);
    texts.line[item] = number;
    std::string& text = texts.text[item];
    for (const size_t place : places) {
      if (place >= fields.size()) continue;
      const std::string_view field = without_blanks(fields[place]);
      if (field.empty()) continue;
      if (!text.empty()) text += ", ";
      text += field;
    }
    std::replace(text.begin(), text.end(), '\t', ' ');
  });
  return texts;
}

ItemTexts read_item_texts(const std::string& path, const std::vector<std::string>& columns) {
  return parse_item_texts(MappedFile(path).bytes(), path, columns);
}

std::string checksum_of_texts(const std::vector<std::string>& texts) {
  uLong checksum = crc32_z(0, nullptr, 0);
  const auto add = [&](std::string_view bytes) {
    checksum = crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  };
  for (size_t t = 0; t < texts.size(); ++t) {
    if (t > 0) add("\n");
    add(texts[t]);
  }
  return fmt::format("{:08x}", checksum);
}

}  // namespace rec
