#include "host/formats/intention_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "host/formats/file_error.h"
#include "host/formats/id_table.h"
#include "host/formats/lines.h"

namespace rec {
namespace {

// The fields of a line, and where it stands, for refusals.
class Line {
 public:
  Line(std::string_view text, const std::string& name, int64_t number)
      : rest_(text), name_(name), number_(number) {
    if (first_invalid_utf8(text) != std::string_view::npos)
      refuse("is not UTF-8; convert the file, for instance with iconv");
    if (text.find('\0') != std::string_view::npos)
      refuse("holds a NUL byte; the file is damaged or not text");
  }

  [[noreturn]] void refuse(const std::string& sentence) const {
    throw FileError(name_, number_, sentence);
  }
  std::string_view field() {
    const size_t tab = rest_.find('\t');
    const std::string_view text = rest_.substr(0, tab);
    rest_ = tab == std::string_view::npos ? std::string_view() : rest_.substr(tab + 1);
    return text;
  }
  // what: "user" or "item", of which there are count.
  int32_t id(const char* what, int64_t count) {
    const std::string_view word = field();
    const int64_t id = number_in(word);
    if (id < 0) refuse(fmt::format("'{}' is no {} number; fields stand between tabs", word, what));
    if (id >= count)
      refuse(fmt::format("there is no {} {}; {}s are numbered 0 to {}", what, id, what, count - 1));
    return int32_t(id);
  }
  bool is_header() const {
    return number_ == 1 && number_in(rest_.substr(0, rest_.find('\t'))) < 0;
  }

 private:
  // -1 where it is none.
  static int64_t number_in(std::string_view word) {
    int64_t value = -1;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && rest == word.data() + word.size() ? value : -1;
  }

  std::string_view rest_;
  const std::string& name_;
  int64_t number_;
};

// visit(line) for every line that is neither empty nor the header.
template <class Visit>
void for_each_record(std::string_view text, const std::string& name, Visit visit) {
  for_each_line(text, [&](std::string_view content, int64_t number) {
    if (content.empty()) return;
    Line line(content, name, number);
    if (!line.is_header()) visit(line);
  });
}

}  // namespace

IntentionQueries parse_intention_queries(std::string_view text, const std::string& name,
                                         int64_t items) {
  IntentionQueries queries;
  std::vector<uint8_t> taken(size_t(items), 0);
  for_each_record(text, name, [&](Line& line) {
    const int32_t item = line.id("item", items);
    if (taken[size_t(item)] != 0) line.refuse(fmt::format("item {} has a query already", item));
    taken[size_t(item)] = 1;
    const std::string_view query = line.field();
    if (query.empty()) line.refuse("has no query; a line is 'item<tab>query'");
    queries.item.push_back(item);
    queries.text.emplace_back(query);
  });
  if (queries.size() == 0) throw FileError(name, "holds no queries; a line is 'item<tab>query'");
  return queries;
}

std::vector<IntentionTarget> parse_intention_targets(std::string_view text, const std::string& name,
                                                     CsrView test,
                                                     const std::vector<uint8_t>& has_query) {
  std::vector<IntentionTarget> targets;
  std::vector<uint8_t> taken(size_t(test.rows), 0);
  for_each_record(text, name, [&](Line& line) {
    const int32_t user = line.id("user", test.rows), item = line.id("item", test.cols);
    if (taken[size_t(user)] != 0) line.refuse(fmt::format("user {} has a target already", user));
    taken[size_t(user)] = 1;
    const int32_t* own = test.row(user);
    if (!std::binary_search(own, own + test.degree(user), item))
      line.refuse(fmt::format("item {} is not among the test items of user {}", item, user));
    if (has_query[size_t(item)] == 0)
      line.refuse(fmt::format("item {} has no query, so it cannot be a target", item));
    targets.push_back({user, item});
  });
  if (targets.empty()) throw FileError(name, "holds no targets; a line is 'user<tab>item'");
  std::sort(targets.begin(), targets.end(),
            [](const auto& a, const auto& b) { return a.user < b.user; });
  return targets;
}

}  // namespace rec
