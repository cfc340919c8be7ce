#include "host/prepare/source_paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/prepare/known_files.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_in(const std::string& folder, std::error_code& failed) {
  std::vector<std::string> files;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code leads_nowhere;  // a link may
    if (entry->is_regular_file(leads_nowhere)) files.push_back(entry->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}
std::vector<std::string> files_in(const std::string& folder) {
  std::error_code failed;
  std::vector<std::string> files = files_in(folder, failed);
  if (failed) throw FileError(folder, "cannot be read (" + failed.message() + ")");
  return files;
}

// The file of that name, plain or compressed; "" where there is none.
std::string file_called(const std::string& folder, std::string_view name) {
  std::string found;
  for (const std::string& file : files_in(folder)) {
    if (plain_file_name(file) != name) continue;
    if (!found.empty())
      throw FileError(folder, fmt::format("holds one file twice: {}, {}; leave one", found, file));
    found = file;
  }
  return found;
}

// The paths of train, valid and test of one name, as far as they are there.
std::vector<std::string> one_of_each(const std::string& folder, std::vector<std::string> paths) {
  std::sort(paths.begin(), paths.end(), [&](const std::string& a, const std::string& b) {
    return *recbole_split(plain_file_name(a)) < *recbole_split(plain_file_name(b));
  });
  for (size_t n = 1; n < paths.size(); ++n) {
    const std::string a = plain_file_name(paths[n - 1]), b = plain_file_name(paths[n]);
    if (recbole_split(a) == recbole_split(b) || recbole_stem(a) != recbole_stem(b))
      throw FileError(folder,
                      fmt::format("holds several datasets or one twice: {}; leave the files of "
                                  "one",
                                  fmt::join(paths, ", ")));
  }
  return paths;
}

bool is_numbered(const std::string& format) { return format == "lightgcn" || format == "dataset"; }

// A dataset folder, the authors' tree, or LightGCN's files.
SourcePaths numbered_paths(const std::string& path, const std::string& format) {
  std::error_code ignored;
  const std::string tree = path + "/cf_data";
  const std::string folder = fs::is_directory(tree, ignored) ? tree : path;
  SourcePaths paths;
  paths.user_ids = file_called(folder, kUserList);
  paths.item_ids = file_called(folder, kItemList);
  const bool has_list = !paths.user_ids.empty() || !paths.item_ids.empty();
  if (format == "lightgcn" && !has_list)
    throw FileError(folder,
                    "has neither user_list.txt nor item_list.txt, so it is no --format lightgcn; "
                    "leave the option out");
  paths.numbered = is_numbered(format) ? format : has_list ? "lightgcn" : "dataset";
  if (paths.numbered == "dataset") {
    paths.user_ids = file_called(path, "users.tsv");
    paths.item_ids = file_called(path, "items.tsv");
  }
  for (const std::string_view name : kSplitFiles)
    if (const std::string file = file_called(folder, name); !file.empty())
      paths.interactions.push_back(file);
    else if (name == kSplitFiles[0])
      throw FileError(fmt::format("{}/{}", folder, name),
                      "cannot be opened: there is no such file; a dataset needs it");
  return paths;
}

std::vector<std::string> known_in(const std::string& folder) {
  std::vector<std::string> atomic, split, known;
  for (const std::string& file : files_in(folder)) {
    const std::string name = plain_file_name(file);
    if (is_recbole(name)) (recbole_split(name) ? split : atomic).push_back(file);
    if (known_interactions(name) != nullptr || name == kCsvInteractions) known.push_back(file);
  }
  if (atomic.empty() && !split.empty()) return one_of_each(folder, split);
  if (atomic.empty()) atomic = known;
  if (atomic.size() > 1)
    throw FileError(folder, fmt::format("holds several files of interactions: {}; name one of them",
                                        fmt::join(atomic, ", ")));
  return atomic;
}

}  // namespace

SourcePaths find_paths(const std::string& path, const std::string& format) {
  std::error_code ignored;
  if (!is_there(path)) throw FileError(path, "is not there; name a file or a folder");
  const bool is_folder = fs::is_directory(path, ignored);
  if (!is_folder && is_numbered(format))
    throw FileError(path,
                    fmt::format("is a file; --format {} needs the folder it lies in", format));
  if (is_numbered(format)) return numbered_paths(path, format);
  SourcePaths paths;
  paths.interactions = is_folder ? known_in(path) : std::vector{path};
  if (paths.interactions.empty()) {
    const bool is_dataset =
        !file_called(path, kSplitFiles[0]).empty() || is_there(path + "/cf_data");
    if (is_dataset && format == "auto") return numbered_paths(path, format);
    throw FileError(
        path, is_dataset
                  ? fmt::format("holds a dataset, not --format {}; leave the option out", format)
                  : "holds no file of interactions that is known (NAME.inter, ratings.csv, "
                    "ratings.dat, u.data, BX-Book-Ratings.csv, interactions.csv, train.txt); "
                    "name the file itself");
  }
  return paths;
}

std::string items_beside(const std::string& interactions) {
  const fs::path place(interactions);
  const std::string folder = place.parent_path().empty() ? "." : place.parent_path().string();
  std::error_code ignored;  // of a folder that may not be listed a file can be read all the same
  for (const std::string& file : files_in(folder, ignored))
    if (belong_together(plain_file_name(interactions), plain_file_name(file))) return file;
  return "";
}

}  // namespace rec
