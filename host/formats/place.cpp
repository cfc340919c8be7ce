#include "host/formats/place.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "host/formats/file_error.h"

namespace rec {

std::string without_links(const std::string& path) {
  constexpr int kMostLinks = 40;  // as the system's own
  std::filesystem::path place(path);
  for (int links = 0; links < kMostLinks; ++links) {
    std::error_code not_a_link;
    const std::filesystem::path target = std::filesystem::read_symlink(place, not_a_link);
    if (not_a_link) return place.string();
    place = place.parent_path() / target;
  }
  throw FileError(path, "is a link that leads to no file; name another file");
}

std::string name_while_written(const std::string& place) {
  return place + std::string(kPart) + std::to_string(::getpid());
}

}  // namespace rec
