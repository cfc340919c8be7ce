#include "host/formats/unfinished_folder.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

std::string without_last_slash(const std::string& folder) {
  const fs::path place = fs::path(folder).lexically_normal();
  return (place.filename().empty() ? place.parent_path() : place).string();
}

}  // namespace

void require_free_folder(const std::string& folder) {
  std::error_code ignored;
  if (is_there(folder) && !(fs::is_directory(folder, ignored) && fs::is_empty(folder, ignored)))
    throw FileError(folder, "is there already and not empty; choose another folder with --out");
}

UnfinishedFolder::UnfinishedFolder(const std::string& place) : place_(without_last_slash(place)) {
  require_free_folder(place);
  path_ = place_ + ".part" + std::to_string(::getpid());
  make_folder(path_);
}

UnfinishedFolder::~UnfinishedFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

void UnfinishedFolder::commit() {
  std::error_code failed;
  fs::rename(path_, place_, failed);  // an empty folder gives way
  if (failed) throw FileError(place_, "cannot be put in its place (" + failed.message() + ")");
  path_.clear();
}

}  // namespace rec
