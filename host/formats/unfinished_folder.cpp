#include "host/formats/unfinished_folder.h"

#include <filesystem>
#include <system_error>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/formats/place.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

// Where the folder is to be: without links, dots and a slash at the end.
std::string place_of(const std::string& folder) {
  const auto without_slash = [](const fs::path& path) {
    return path.filename().empty() ? path.parent_path() : path;
  };
  std::error_code failed;
  const fs::path place = fs::weakly_canonical(
      without_links(without_slash(fs::path(folder).lexically_normal()).string()), failed);
  if (failed) throw FileError(folder, "leads nowhere (" + failed.message() + ")");
  return without_slash(place).string();
}

// Where the folder lies while it is written. What killed processes left there goes, also one that had
// this one's number; no folder of a user's goes by such a name.
std::string room_beside(const std::string& place) {
  const std::string unfinished = place + ".unfinished";
  remove_leftovers_of(unfinished);
  std::string room = name_while_written(unfinished);
  std::error_code failed;
  if (is_there(room)) fs::remove_all(room, failed);
  if (failed) throw FileError(room, "cannot be removed (" + failed.message() + ")");
  return room;
}

}  // namespace

void require_free_folder(const std::string& folder) {
  const std::string place = place_of(folder);
  std::error_code failed;
  if (!is_there(place)) return;
  if (!(fs::is_directory(place, failed) && fs::is_empty(place, failed)))
    throw FileError(folder, "is there already and not empty", Remedy::another_folder);
  if (fs::equivalent(place, ".", failed))
    throw FileError(folder, "is the folder that this runs in, which cannot give way to the new one",
                    Remedy::folder_in_it);
  // Whether it can give way shows when it is moved, and back again.
  const std::string aside = room_beside(place);
  fs::rename(place, aside, failed);
  if (!failed) fs::rename(aside, place, failed);
  if (failed)
    throw FileError(folder,
                    "is there and cannot give way to the new folder (" + failed.message() + ")",
                    Remedy::folder_in_it);
}

UnfinishedFolder::UnfinishedFolder(const std::string& place) : place_(place_of(place)) {
  require_free_folder(place);
  path_ = room_beside(place_);
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
