// A file that appears whole or not at all: written beside its place, flushed to the disk, then
// renamed. Links are followed. What is no file, such as /dev/null, a pipe or standard output, is
// written to as it is.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rec {

class AtomicFile {
 public:
  // Throws FileError when the folder may not be written.
  explicit AtomicFile(std::string path);
  // Removes what was written unless commit() was called.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws FileError when the disk is full or fails.
  void write(std::string_view bytes);
  void write(const void* data, size_t bytes) { write({static_cast<const char*>(data), bytes}); }
  // The file is at its path after this.
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::string path_, temporary_;  // temporary_: "" where there is no file to put in its place
  int file_ = -1;
};

void write_whole_file(const std::string& path, std::string_view bytes);

// Removes the halves of this file, or folder, that processes no longer
// alive were writing when they were killed.
void remove_leftovers_of(const std::string& path);

// Makes the folder and those above it. Throws FileError when that is not possible.
void make_folder(const std::string& path);

}  // namespace rec
