// The bytes of a file from front to back, as they are or decompressed: gzip and zstd are known by
// their first bytes.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "host/formats/content_hash.h"

namespace rec {

class Decompressor;

class ByteSource {
 public:
  // Throws FileError when the file is missing, a folder, a pipe or a device, or not readable.
  explicit ByteSource(std::string path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // Up to `most` bytes, at least one; 0 at the end. Throws FileError when reading fails, or when what
  // is compressed is damaged or cut short.
  size_t read(char* to, size_t most);

  const std::string& path() const { return path_; }
  // Of the file itself.
  int64_t bytes() const { return bytes_; }
  int64_t bytes_read() const { return bytes_read_; }
  // Of the file's bytes read so far.
  std::string hash() const { return hash_.text(); }

 private:
  size_t read_file(char* to, size_t most);

  std::string path_;
  int file_ = -1;
  int64_t bytes_ = 0, bytes_read_ = 0;
  ContentHash hash_;
  std::unique_ptr<char[]> chunk_;  // of the file, before decompression
  size_t chunk_begin_ = 0, chunk_end_ = 0;
  std::unique_ptr<Decompressor> decompressor_;  // null where the file is plain
};

// Without the ending of a compressed file: "ratings.csv" of "ratings.csv.gz".
std::string without_compression_suffix(const std::string& name);

}  // namespace rec
