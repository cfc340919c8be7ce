#include "host/formats/excerpt.h"

#include <algorithm>

namespace rec {

std::string excerpt(std::string_view text) {
  constexpr size_t kShown = 40;
  size_t end = std::min(text.size(), kShown);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  std::string shown(text.substr(0, end));
  std::replace_if(
      shown.begin(), shown.end(),
      [](char c) { return c == '\n' || c == '\r' || c == '\t' || c == '\0'; }, ' ');
  return end < text.size() ? shown + "..." : shown;
}

}  // namespace rec
