// A whole file, read-only, in memory: mapped by the system,
// so that what is not touched is not read.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rec {

// Whether there is anything at this path. Throws FileError where that cannot be found out, as in a
// folder that this user may not enter.
bool is_there(const std::string& path);

class MappedFile {
 public:
  MappedFile() = default;
  // Throws FileError when the file is missing, a folder, not a plain file, or not readable. A file
  // must not be shortened while it is mapped; what this program writes never is (atomic_file.h).
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::string_view bytes() const { return {data_, size_}; }
  int64_t size() const { return static_cast<int64_t>(size_); }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// What the system says of the last failed call, as "No space left on device".
std::string system_reason();

}  // namespace rec
