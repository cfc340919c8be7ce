#include "host/formats/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "host/formats/file_error.h"
#include "host/formats/place.h"

namespace rec {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

enum class Place { free, file, folder, device, standard_output };

// Devices are all that is neither file nor folder, such as terminals and pipes.
Place examine(const std::string& path) {
  struct stat facts {
  }, output{};
  // What cannot be examined cannot be opened either, and that says why.
  if (::stat(path.c_str(), &facts) != 0) return Place::free;
  if (S_ISDIR(facts.st_mode)) return Place::folder;
  if (::fstat(STDOUT_FILENO, &output) == 0 && output.st_dev == facts.st_dev &&
      output.st_ino == facts.st_ino)
    return Place::standard_output;
  return S_ISREG(facts.st_mode) ? Place::file : Place::device;
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  const Place place = examine(path_);
  if (place == Place::folder)
    throw FileError(path_, "is a folder, so no file of that name can be written");
  if (place == Place::standard_output) {
    std::fflush(stdout);  // what was printed stands before what is written here
    file_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  } else if (place == Place::device) {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    path_ = without_links(path_);
    temporary_ = name_while_written(path_);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (file_ < 0) fail(temporary_.empty() ? "be opened" : "be made");
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* doing) const {
  const int reason = errno;
  std::string advice;
  if (reason == ENOSPC || reason == EDQUOT) advice = "; free some space there";
  if (reason == EACCES || reason == EROFS || reason == EPERM)
    advice = "; choose a folder that this user may write to";
  if (reason == ENOENT) advice = "; make the folder first";
  throw FileError(path_, std::string("cannot ") + doing + " (" +
                             std::generic_category().message(reason) + ")" + advice);
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("be written");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  const bool replaces = !temporary_.empty();
  if (replaces && ::fsync(file_) != 0 && errno != EINVAL) fail("be flushed to the disk");
  const int file = file_;
  file_ = -1;
  if (::close(file) != 0) fail("be closed");
  if (!replaces) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("be put in its place");
  temporary_.clear();
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    // The rename itself should survive a power cut; a file system that cannot is no error.
    (void)::fsync(folder);
    ::close(folder);
  }
}

void write_whole_file(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void remove_leftovers_of(const std::string& path) {
  namespace fs = std::filesystem;
  const std::string place = without_links(path);
  const std::string prefix = fs::path(place).filename().string() + std::string(kPart);
  std::error_code ignored;  // a leftover that cannot be removed harms nobody
  for (fs::directory_iterator entry(folder_of(place), ignored), end; entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    pid_t process = 0;
    const char* last = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + prefix.size(), last, process);
    const bool is_number = error == std::errc() && rest == last && process > 0;
    if (is_number && ::kill(process, 0) != 0 && errno == ESRCH)
      fs::remove_all(entry->path(), ignored);
  }
}

void make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed)
    throw FileError(path, "the folder cannot be made (" + failed.message() +
                              "); choose a place that this user may write to");
  if (!std::filesystem::is_directory(path, failed))
    throw FileError(path, "is a file where a folder is expected");
}

}  // namespace rec
