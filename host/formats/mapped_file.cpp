#include "host/formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "host/formats/file_error.h"

namespace rec {

std::string system_reason() { return std::strerror(errno); }

bool is_there(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  if (errno == EACCES)
    throw FileError(path,
                    "may not be looked at by this user; check the permissions of its folders");
  throw FileError(path, "cannot be examined (" + system_reason() + "); check the path");
}

MappedFile::MappedFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    if (errno == ENOENT) throw FileError(path, "there is no such file; check the path");
    if (errno == EACCES)
      throw FileError(path, "may not be read by this user; check its permissions");
    throw FileError(path, "cannot be opened (" + system_reason() + ")");
  }
  struct stat facts {};
  const char* refusal = nullptr;
  if (::fstat(file, &facts) != 0)
    refusal = "cannot be examined";
  else if (S_ISDIR(facts.st_mode))
    refusal = "is a folder where a file is expected";
  else if (!S_ISREG(facts.st_mode))
    refusal = "is not a plain file";
  if (refusal == nullptr && facts.st_size > 0) {
    void* data =
        ::mmap(nullptr, static_cast<size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
      refusal = "cannot be mapped into memory";
    } else {
      data_ = static_cast<const char*>(data);
      size_ = static_cast<size_t>(facts.st_size);
    }
  }
  ::close(file);
  if (refusal != nullptr) throw FileError(path, refusal);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace rec
