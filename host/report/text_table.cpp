#include "host/report/text_table.h"

#include <unistd.h>

#include <algorithm>

namespace rec {
namespace {

// Characters, not bytes.
size_t width_of(const std::string& text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string aligned(const TextTable& table, bool bold) {
  std::vector<size_t> width(table.empty() ? 0 : table[0].size(), 0);
  for (const auto& row : table)
    for (size_t c = 0; c < width.size(); ++c) width[c] = std::max(width[c], width_of(row[c].text));
  std::string text;
  for (const auto& row : table) {
    if (!text.empty()) text += "\n";
    for (size_t c = 0; c < width.size(); ++c) {
      const std::string padding(width[c] - width_of(row[c].text), ' ');
      const bool stands_out = bold && row[c].best;
      const std::string cell = stands_out ? "\033[1m" + row[c].text + "\033[0m" : row[c].text;
      text += c == 0 ? cell + padding : "  " + padding + cell;
    }
  }
  return text;
}

bool on_a_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

}  // namespace rec
