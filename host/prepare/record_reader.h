// The records of a text file, one after another, plain or compressed, of any size in little memory:
// lines of delimited fields (CSV, TSV and their relatives), or of one object each (JSON, or what
// Python prints of a dict).
//
// Accepted: CRLF, a UTF-8 byte order mark, empty lines (passed over), quoted fields with doubled
// quotes, delimiters and line ends inside. Refused with the line: bytes that are not UTF-8, NUL, a
// quote that is not closed within 1000 lines and 16 MB, text behind a closing quote, a line without an
// object where objects are expected, a line longer than 16 MB.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/prepare/byte_source.h"

namespace rec {

struct Dialect {
  std::string delimiter = ",";
  bool quotes = true;             // "..." may stand around a field
  bool backslash_quotes = false;  // \" inside of quotes is a quote
  bool latin1 = false;            // else UTF-8
  // A line is an object, and its fields are the values of `keys` (prepare/object_line.h); without
  // keys, the object's own keys.
  bool objects = false;
  std::vector<std::string> keys = {};
};

class RecordReader {
 public:
  RecordReader(const std::string& path, const Dialect& dialect);

  // The next record, or false at the end. Throws FileError; can_go_on() then says whether reading can
  // go on behind that line.
  bool next();
  // Of the last record, valid until the next call of next(): UTF-8, quotes taken off.
  const std::vector<std::string_view>& fields() const { return fields_; }
  int64_t line() const { return record_line_; }  // where it begins, from 1
  const ByteSource& source() const { return source_; }
  bool can_go_on() const { return can_go_on_; }
  [[noreturn]] void refuse(const std::string& sentence) const;

 private:
  // The next line without its end; false at the end of the file.
  bool next_line(std::string_view& line);
  void fill();
  void split(std::string_view line);
  void split_quoted(std::string_view line);
  void split_object(std::string_view line);
  // One more line behind an open quote, added to quoted_.
  void add_line(size_t position);

  ByteSource source_;
  Dialect dialect_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is not yet given out
  // Whether the buffer holds a NUL or a byte beyond ASCII, or a quote: without these a line need not
  // be searched for them.
  bool has_unusual_ = false, has_quote_ = false;
  bool at_end_ = false, can_go_on_ = true;
  int64_t line_ = 0, record_line_ = 0;
  std::vector<std::string_view> fields_;
  std::string converted_;            // a line of Latin-1 as UTF-8
  std::string quoted_;               // a record with line ends inside of quotes
  std::string unquoted_;             // its fields without quotes
  std::vector<std::string> values_;  // of an object
};

}  // namespace rec
