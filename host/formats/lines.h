// The lines of a text file, as editors of any system leave them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string_view>

namespace rec {

// Calls visit(line, number) for every line, number from 1: without its end (LF or CRLF), and the
// first without a UTF-8 byte order mark. An empty text has no lines, and the last line may lack
// its end.
template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    text.remove_prefix(kByteOrderMark.size());
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    visit(line, ++number);
    begin = end + 1;
  }
}

}  // namespace rec
