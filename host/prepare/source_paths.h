// Which files lie at a path that interactions are to be read from.
#pragma once
#include <string>
#include <vector>

namespace rec {

struct SourcePaths {
  std::vector<std::string> interactions;
  // Where the interactions are lines of numbers: "lightgcn" or "dataset", and the files that say what
  // the numbers stand for; "" where there is none.
  std::string numbered;
  std::string user_ids, item_ids;
};

// format: as --format has it. Throws FileError where nothing is recognised, or several things are.
SourcePaths find_paths(const std::string& path, const std::string& format);

// The file of items that lies beside these interactions and belongs to them, or "".
std::string items_beside(const std::string& interactions);

}  // namespace rec
