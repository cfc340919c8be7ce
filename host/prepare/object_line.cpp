#include "host/prepare/object_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

namespace rec {
namespace {

// Takes the values of some keys of the outermost object while it is parsed.
class Taker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Taker(const std::vector<std::string>& keys, std::vector<std::string>& values)
      : keys_(keys), values_(values) {
    values_.assign(keys_.size(), "");
  }

  bool null() override { return objects_ > 0; }
  bool boolean(bool value) override { return take(value ? "true" : "false"); }
  bool number_integer(int64_t value) override { return take(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return take(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return take(text); }
  bool string(std::string& value) override { return take(value); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override {
    ++objects_;
    return true;
  }
  bool end_object() override {
    --objects_;
    return true;
  }
  bool start_array(size_t) override { return objects_ > 0; }  // the line itself is an object
  bool end_array() override { return true; }
  bool key(std::string& name) override {
    if (objects_ > 1) return true;
    if (keys_.empty()) values_.push_back(name);
    place_ = size_t(std::find(keys_.begin(), keys_.end(), name) - keys_.begin());
    if (place_ < keys_.size())
      values_[place_].clear();  // of a key that comes twice the last counts
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  bool take(const std::string& text) {
    if (objects_ == 0) return false;
    if (objects_ > 1 || place_ >= keys_.size()) return true;
    std::string& value = values_[place_];
    if (!value.empty() && !text.empty()) value += ' ';
    value += text;
    return true;
  }

  const std::vector<std::string>& keys_;
  std::vector<std::string>& values_;
  size_t place_ = 0;
  int objects_ = 0;
};

// JSON has no single quotes, and no prefix before a quote.
bool is_python(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t", 1);
  if (first == std::string_view::npos) return false;
  const std::string_view begin = line.substr(first, 2);
  return begin[0] == '\'' || begin == "u'" || begin == "u\"";
}

// The Python string whose quote stands at `at`, as a JSON string. The place behind it, or npos.
size_t add_string(std::string_view line, size_t at, std::string& json) {
  const char quote = line[at];
  json += '"';
  for (++at; at < line.size(); ++at) {
    const char c = line[at];
    if (c == quote) {
      json += '"';
      return at + 1;
    }
    if (c == '"') {
      json += "\\\"";
    } else if (c != '\\') {
      json += c;
    } else if (++at == line.size()) {
      break;
    } else if (line[at] == '\'') {
      json += '\'';
    } else if (line[at] == 'x') {  // two digits, a character below 256
      json += "\\u00";
    } else if (line[at] == 'U') {  // eight digits
      uint32_t code = 0;
      const char* first = line.data() + at + 1;
      const char* last = line.data() + std::min(line.size(), at + 9);
      if (std::from_chars(first, last, code, 16).ptr != first + 8 || code > 0x10FFFF)
        return std::string_view::npos;
      if (code >= 0x10000) {  // two of four digits in JSON
        json += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10),
                            0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        json += fmt::format("\\u{:04x}", code);
      }
      at += 8;
    } else {
      json += '\\';
      json += line[at];
    }
  }
  return std::string_view::npos;
}

// False when the line cannot be what Python prints.
bool json_of_python(std::string_view line, std::string& json) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kWords = {
      {{"None", "null"}, {"True", "true"}, {"False", "false"}}};
  for (size_t at = 0; at < line.size();) {
    const char c = line[at];
    const bool is_prefix =
        c == 'u' && at + 1 < line.size() && (line[at + 1] == '\'' || line[at + 1] == '"');
    if (is_prefix || c == '\'' || c == '"') {
      at = add_string(line, at + (is_prefix ? 1 : 0), json);
      if (at == std::string_view::npos) return false;
      continue;
    }
    const auto word = std::find_if(kWords.begin(), kWords.end(), [&](const auto& each) {
      return line.substr(at, each.first.size()) == each.first;
    });
    if (word != kWords.end()) {
      json += word->second;
      at += word->first.size();
    } else {
      json += c;
      ++at;
    }
  }
  return true;
}

}  // namespace

bool begins_object(std::string_view line) { return !line.empty() && line[0] == '{'; }

bool read_object(std::string_view line, const std::vector<std::string>& keys,
                 std::vector<std::string>& values) {
  Taker taker(keys, values);
  std::string json;
  if (begins_object(line) && is_python(line)) {
    if (!json_of_python(line, json)) return false;
    line = json;
  }
  return nlohmann::json::sax_parse(line.begin(), line.end(), &taker);
}

}  // namespace rec
