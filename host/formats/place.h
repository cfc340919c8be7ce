// Where a file or a folder is to be put, and what lies beside that place until it is whole.
#pragma once
#include <string>
#include <string_view>

namespace rec {

// Where a path leads: its links are followed, also to what is not there yet. Throws FileError where
// they go round.
std::string without_links(const std::string& path);

inline constexpr std::string_view kPart = ".part";  // and the writing process's number
// What this process writes beside `place`.
std::string name_while_written(const std::string& place);

}  // namespace rec
