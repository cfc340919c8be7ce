#include "host/formats/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

constexpr std::string_view kPart = ".part";  // and the writing process's number

}  // namespace

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(path_ + std::string(kPart) + std::to_string(::getpid())) {
  std::error_code ignored;  // what cannot be examined cannot be opened either, and that says why
  if (std::filesystem::is_directory(path_, ignored))
    throw FileError(path_, "is a folder, so no file of that name can be written");
  file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file_ < 0) fail("be made");
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
  if (::fsync(file_) != 0 && errno != EINVAL) fail("be flushed to the disk");
  const int file = file_;
  file_ = -1;
  if (::close(file) != 0) fail("be closed");
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
  const std::string prefix = fs::path(path).filename().string() + std::string(kPart);
  std::error_code ignored;  // a leftover that cannot be removed harms nobody
  for (fs::directory_iterator entry(folder_of(path), ignored), end; entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    pid_t process = 0;
    const char* last = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + prefix.size(), last, process);
    const bool is_number = error == std::errc() && rest == last && process > 0;
    if (is_number && ::kill(process, 0) != 0 && errno == ESRCH) fs::remove(entry->path(), ignored);
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
