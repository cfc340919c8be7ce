#include "host/prepare/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"
#include "host/formats/id_table.h"
#include "host/prepare/object_line.h"

namespace rec {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr size_t kLongestRecord = size_t{16} << 20;
constexpr int64_t kMostLinesOfRecord = 1000;  // more is a quote that somebody forgot

bool is_ascii(std::string_view text) {
  uint64_t high = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    high |= word;
  }
  for (; i < text.size(); ++i) high |= uint64_t(static_cast<unsigned char>(text[i]));
  return (high & 0x8080808080808080u) == 0;
}

bool holds(std::string_view text, char c) { return text.find(c) != std::string_view::npos; }

void add_latin1(std::string_view text, std::string& utf8) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += char(0xC0 | byte >> 6);
      utf8 += char(0x80 | (byte & 0x3F));
    }
  }
}

}  // namespace

RecordReader::RecordReader(const std::string& path, const Dialect& dialect)
    : source_(path), dialect_(dialect), buffer_(kBufferBytes) {}

void RecordReader::refuse(const std::string& sentence) const {
  throw FileError(source_.path(), record_line_, sentence);
}

void RecordReader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) {
    if (buffer_.size() >= kLongestRecord) {
      can_go_on_ = false;
      throw FileError(source_.path(), line_ + 1,
                      fmt::format("is longer than {} MB; is this a text file with line ends?",
                                  kLongestRecord >> 20));
    }
    buffer_.resize(2 * buffer_.size());
  }
  const size_t got = source_.read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += got;
  at_end_ = got == 0;
  const std::string_view all(buffer_.data(), end_);
  has_unusual_ = holds(all, '\0') || !is_ascii(all);
  has_quote_ = holds(all, '"');
}

bool RecordReader::next_line(std::string_view& line) {
  size_t looked_at = 0;
  for (;;) {
    const char* from = buffer_.data() + begin_ + looked_at;
    const size_t bytes = end_ - begin_ - looked_at;
    const char* found =
        bytes == 0 ? nullptr : static_cast<const char*>(std::memchr(from, '\n', bytes));
    if (found == nullptr && !at_end_) {
      looked_at = end_ - begin_;
      try {
        fill();
      } catch (const FileError&) {
        can_go_on_ = false;
        throw;
      }
      continue;
    }
    if (found == nullptr && begin_ == end_) return false;
    const char* first = buffer_.data() + begin_;
    const char* last = found == nullptr ? buffer_.data() + end_ : found;
    begin_ = size_t(last - buffer_.data()) + (found == nullptr ? 0 : 1);
    line = {first, size_t(last - first)};
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++line_;
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (line_ == 1 && line.substr(0, kByteOrderMark.size()) == kByteOrderMark)
      line.remove_prefix(kByteOrderMark.size());
    return true;
  }
}

bool RecordReader::next() {
  std::string_view line;
  do {
    if (!next_line(line)) return false;
  } while (line.empty());
  record_line_ = line_;
  if (has_unusual_ && holds(line, '\0'))
    refuse(line_ == 1 && line.substr(0, 2) == "\xFF\xFE"
               ? "is UTF-16; convert the file to UTF-8, for instance with iconv"
               : "holds a NUL byte; the file is damaged or not text");
  if (has_unusual_ && !is_ascii(line)) {
    if (dialect_.latin1) {
      converted_.clear();
      add_latin1(line, converted_);
      line = converted_;
    } else if (first_invalid_utf8(line) != std::string_view::npos) {
      refuse("is not UTF-8; give --encoding latin1 if the file is Latin-1, or convert it");
    }
  }
  split(line);
  return true;
}

void RecordReader::split(std::string_view line) {
  fields_.clear();
  if (dialect_.objects) return split_object(line);
  if (dialect_.quotes && has_quote_ && holds(line, '"')) return split_quoted(line);
  const std::string& delimiter = dialect_.delimiter;
  for (;;) {
    const size_t at = delimiter.size() == 1 ? line.find(delimiter[0]) : line.find(delimiter);
    fields_.push_back(line.substr(0, at));
    if (at == std::string_view::npos) return;
    line.remove_prefix(at + delimiter.size());
  }
}

void RecordReader::split_object(std::string_view line) {
  if (!read_object(line, dialect_.keys, values_))
    refuse(fmt::format("is neither a JSON object nor what Python prints of a dict: '{}'",
                       excerpt(line)));
  fields_.assign(values_.begin(), values_.end());
}

void RecordReader::add_line(size_t position) {
  std::string_view more;
  const int64_t lines = line_ - record_line_;
  if (lines >= kMostLinesOfRecord || quoted_.size() > kLongestRecord || !next_line(more)) {
    can_go_on_ = false;
    refuse(fmt::format(
        "the quote before '{}' is not closed on the next {} lines; close it, or double it "
        "inside of text",
        excerpt(std::string_view(quoted_).substr(position)), kMostLinesOfRecord));
  }
  // Behind such a line nobody knows where the record ends.
  const auto refuse_line = [&](const char* sentence) {
    can_go_on_ = false;
    throw FileError(source_.path(), line_, sentence);
  };
  if (more.find('\0') != std::string_view::npos)
    refuse_line("holds a NUL byte; the file is damaged or not text");
  if (!dialect_.latin1 && first_invalid_utf8(more) != std::string_view::npos)
    refuse_line("is not UTF-8; give --encoding latin1 if the file is Latin-1, or convert it");
  quoted_ += '\n';
  if (dialect_.latin1)
    add_latin1(more, quoted_);
  else
    quoted_ += more;
}

void RecordReader::split_quoted(std::string_view line) {
  quoted_ = line;
  unquoted_.clear();
  // Fields as places in unquoted_, which moves as it grows.
  std::vector<std::pair<size_t, size_t>> places;
  const std::string& delimiter = dialect_.delimiter;
  size_t at = 0;
  for (;;) {
    const size_t first = unquoted_.size();
    if (at < quoted_.size() && quoted_[at] == '"') {
      const size_t opened = ++at;
      for (;;) {
        if (at == quoted_.size()) {
          add_line(opened);
          unquoted_ += '\n';
          ++at;
          continue;
        }
        const char c = quoted_[at];
        if (dialect_.backslash_quotes && c == '\\' && at + 1 < quoted_.size()) {
          unquoted_ += quoted_[at + 1];
          at += 2;
        } else if (c != '"') {
          unquoted_ += c;
          ++at;
        } else if (at + 1 < quoted_.size() && quoted_[at + 1] == '"') {
          unquoted_ += '"';
          at += 2;
        } else {
          ++at;
          break;
        }
      }
      if (at < quoted_.size() && quoted_.compare(at, delimiter.size(), delimiter) != 0)
        refuse(
            fmt::format("text stands behind the closing quote: '{}'; double a quote inside of text",
                        excerpt(std::string_view(quoted_).substr(at))));
    } else {
      const size_t end = std::min(quoted_.find(delimiter, at), quoted_.size());
      unquoted_.append(quoted_, at, end - at);
      at = end;
    }
    places.emplace_back(first, unquoted_.size() - first);
    if (at >= quoted_.size()) break;
    at += delimiter.size();
    if (at == quoted_.size()) {  // a delimiter at the end: one more field, empty
      places.emplace_back(unquoted_.size(), 0);
      break;
    }
  }
  for (const auto& [first, size] : places)
    fields_.push_back(std::string_view(unquoted_).substr(first, size));
}

}  // namespace rec
