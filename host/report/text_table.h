// A table in plain text: columns aligned, the first to the left, the others to the right.
#pragma once
#include <string>
#include <vector>

namespace rec {

struct Cell {
  std::string text;  // UTF-8
  bool best = false;
};
using TextTable = std::vector<std::vector<Cell>>;  // rows of equal length, the header first

// Lines without an end after the last. bold: the best cells stand in bold, as a terminal understands
// it.
std::string aligned(const TextTable& table, bool bold);

// Whether standard output is a terminal.
bool on_a_terminal();

}  // namespace rec
