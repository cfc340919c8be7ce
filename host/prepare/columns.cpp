#include "host/prepare/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "host/config/nearest_name.h"
#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"

namespace rec {
namespace {

using Names = std::vector<std::string_view>;

// What columns are called, in small letters and without a RecBole type. The first that is there
// counts.
const std::array<Names, kColumns> kColumnNames = {
    Names{"user_id", "userid", "user-id", "user", "uid", "reviewerid", "customer_id", "visitorid",
          "username"},
    Names{"item_id", "itemid", "item-id", "item", "iid", "movieid", "movie_id", "parent_asin",
          "asin", "product_id", "productid", "isbn", "business_id", "book_id", "id"},
    Names{"rating", "ratings", "overall", "stars", "score", "book-rating"},
    Names{"timestamp", "time", "unixreviewtime", "unix_timestamp", "date"}, Names{"split"}};
const Names kTitleNames = {"title",     "movie_title", "product_title", "book-title",
                           "item_name", "app_name",    "name"};

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A column's name as kColumnNames has it: small letters, without ":token".
std::string plain_name(std::string_view name) {
  std::string plain(without_blanks(name.substr(0, name.find(':'))));
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](unsigned char c) { return char(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return plain;
}

// The first of the known names that a header has, or -1.
int column_named(const Header& header, const Names& known) {
  for (const size_t among : {header.everywhere, header.names.size()})
    for (const std::string_view name : known)
      for (size_t c = 0; c < among; ++c)
        if (plain_name(header.names[c]) == name) return int(c);
  return -1;
}

// The next record that can be read; each that cannot takes one from bad_lines_left.
bool next_readable(RecordReader& reader, int64_t& bad_lines_left) {
  for (;;) {
    try {
      return reader.next();
    } catch (const FileError&) {
      if (!reader.can_go_on() || bad_lines_left-- <= 0) throw;
    }
  }
}

}  // namespace

int known_column(const Header& header, Column column) {
  return column_named(header, kColumnNames[size_t(column)]);
}
int known_title_column(const Header& header) { return column_named(header, kTitleNames); }
int known_id_column(const Header& header) {
  const int original = column_named(header, {"original_id"});
  return original >= 0 ? original : known_column(header, Column::item);
}
bool names_users_or_items(const Header& header) {
  return known_column(header, Column::user) >= 0 || known_column(header, Column::item) >= 0;
}

std::string listed(const std::vector<std::string>& header) {
  constexpr size_t kShown = 20;
  std::vector<std::string> names;
  for (size_t c = 0; c < std::min(header.size(), kShown); ++c) names.push_back(excerpt(header[c]));
  return fmt::format("'{}'{}", fmt::join(names, "', '"), header.size() > kShown ? ", ..." : "");
}

int chosen_column(const std::string& path, const std::vector<std::string>& header, bool has_header,
                  const std::string& wanted, const char* option) {
  int number = 0;
  const char* last = wanted.data() + wanted.size();
  const auto [rest, error] = std::from_chars(wanted.data(), last, number);
  const bool says_number = error == std::errc() && rest == last;
  if (has_header) {
    const auto exact = std::find(header.begin(), header.end(), wanted);
    if (exact != header.end()) return int(exact - header.begin());
    std::vector<int> alike;
    for (size_t c = 0; c < header.size(); ++c)
      if (plain_name(header[c]) == plain_name(wanted)) alike.push_back(int(c));
    if (alike.size() == 1) return alike[0];
  }
  if (says_number && number >= 1 && number <= int(header.size())) return number - 1;
  if (!has_header)
    throw FileError(path, 1,
                    fmt::format("has no header, so {} takes a number from 1 to {}, not '{}'",
                                option, header.size(), wanted));
  const std::string nearest = nearest_name(wanted, header);
  throw FileError(
      path, 1,
      fmt::format("has no column '{}' ({}); its columns are {}{}", wanted, option, listed(header),
                  nearest.empty() ? "" : fmt::format("; the nearest is '{}'", nearest)));
}

bool is_number(const std::string& text) {
  double value = 0;
  const char* last = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && rest == last;
}

std::vector<std::vector<std::string>> first_records(const std::string& path, const Dialect& dialect,
                                                    size_t most, int64_t most_bad_lines) {
  RecordReader reader(path, dialect);
  std::vector<std::vector<std::string>> records;
  int64_t none_left = 0;
  while (records.size() < most &&
         next_readable(reader, records.empty() ? none_left : most_bad_lines))
    records.emplace_back(reader.fields().begin(), reader.fields().end());
  if (records.empty()) throw FileError(path, "is empty; it must hold interactions or items");
  return records;
}
std::vector<std::string> first_record(const std::string& path, const Dialect& dialect) {
  return first_records(path, dialect, 1, 0)[0];
}

Header keys_of(const std::string& path, const Dialect& dialect, int64_t most_bad_lines) {
  constexpr int kLines = 1000;
  constexpr size_t kMostKeys = 1000;
  RecordReader reader(path, dialect);
  std::vector<std::pair<std::string, int>> keys;  // and how many objects have it
  std::map<std::string, size_t, std::less<>> place;
  int lines = 0;
  for (; lines < kLines && next_readable(reader, most_bad_lines); ++lines)
    for (const std::string_view key : reader.fields()) {
      const auto [known, is_new] = place.emplace(std::string(key), keys.size());
      if (is_new) keys.emplace_back(key, 0);
      ++keys[known->second].second;
      if (keys.size() > kMostKeys)
        reader.refuse(fmt::format(
            "brings the keys to more than {}; these are no objects of one kind", kMostKeys));
    }
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> names;
  for (const auto& [name, objects] : keys) names.push_back(name);
  Header header(std::move(names));
  header.everywhere = size_t(std::count_if(keys.begin(), keys.end(),
                                           [&](const auto& key) { return key.second == lines; }));
  return header;
}

}  // namespace rec
