#include "host/prepare/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {

// Turns compressed bytes into plain ones, as many of either as there is room for.
class Decompressor {
 public:
  struct Moved {
    size_t taken, given;
  };
  virtual ~Decompressor() = default;
  // Throws std::runtime_error when the bytes are no such data.
  virtual Moved move(const char* from, size_t bytes, char* to, size_t room) = 0;
  // Whether everything given so far is whole.
  virtual bool is_whole() const = 0;
};

namespace {

constexpr size_t kChunkBytes = size_t{1} << 18;
constexpr std::string_view kGzip = "\x1F\x8B", kZstd = "\x28\xB5\x2F\xFD";

class Gzip final : public Decompressor {
 public:
  Gzip() {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();  // 16: gzip's own header
  }
  ~Gzip() override { inflateEnd(&stream_); }

  Moved move(const char* from, size_t bytes, char* to, size_t room) override {
    if (whole_) {  // zeros that fill a block up, or another member, follow the one that ended
      const size_t zeros = std::min(std::string_view(from, bytes).find_first_not_of('\0'), bytes);
      if (zeros > 0 || bytes == 0) return {zeros, 0};
      if (inflateReset(&stream_) != Z_OK) throw std::bad_alloc();
      whole_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from));
    stream_.avail_in = uInt(bytes);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = uInt(room);
    const int state = inflate(&stream_, Z_NO_FLUSH);
    if (state == Z_MEM_ERROR) throw std::bad_alloc();
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
      throw std::runtime_error("gzip");
    whole_ = state == Z_STREAM_END;
    return {bytes - stream_.avail_in, room - stream_.avail_out};
  }
  bool is_whole() const override { return whole_; }

 private:
  z_stream stream_{};
  bool whole_ = false;
};

class Zstd final : public Decompressor {
 public:
  Zstd() : stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    if (!stream_) throw std::bad_alloc();
  }
  Moved move(const char* from, size_t bytes, char* to, size_t room) override {
    ZSTD_inBuffer in{from, bytes, 0};
    ZSTD_outBuffer out{to, room, 0};
    const size_t state = ZSTD_decompressStream(stream_.get(), &out, &in);
    if (ZSTD_isError(state)) throw std::runtime_error("zstd");
    whole_ = state == 0;
    return {in.pos, out.pos};
  }
  bool is_whole() const override { return whole_; }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  bool whole_ = false;
};

}  // namespace

ByteSource::ByteSource(std::string path) : path_(std::move(path)), chunk_(new char[kChunkBytes]) {
  struct stat facts {};
  if (::stat(path_.c_str(), &facts) != 0)
    throw FileError(path_, "cannot be opened (" + system_reason() + ")");
  if (S_ISDIR(facts.st_mode)) throw FileError(path_, "is a folder where a file is expected");
  if (!S_ISREG(facts.st_mode))
    throw FileError(path_,
                    "is a pipe or a device, which cannot be read twice; put it into a file first");
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw FileError(path_, "cannot be opened (" + system_reason() + ")");
  try {
    bytes_ = facts.st_size;
    chunk_end_ = read_file(chunk_.get(), kChunkBytes);
    const std::string_view begin(chunk_.get(), chunk_end_);
    if (begin.substr(0, kGzip.size()) == kGzip) decompressor_ = std::make_unique<Gzip>();
    if (begin.substr(0, kZstd.size()) == kZstd) decompressor_ = std::make_unique<Zstd>();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

ByteSource::~ByteSource() { ::close(file_); }

size_t ByteSource::read_file(char* to, size_t most) {
  ssize_t got = 0;
  do {
    got = ::read(file_, to, most);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw FileError(path_, "cannot be read (" + system_reason() + ")");
  hash_.add({to, size_t(got)});
  bytes_read_ += got;
  return size_t(got);
}

size_t ByteSource::read(char* to, size_t most) {
  if (decompressor_ == nullptr) {
    if (chunk_begin_ == chunk_end_) return read_file(to, most);
    const size_t bytes = std::min(most, chunk_end_ - chunk_begin_);
    std::memcpy(to, chunk_.get() + chunk_begin_, bytes);
    chunk_begin_ += bytes;
    return bytes;
  }
  bool at_end = false;
  for (;;) {
    if (chunk_begin_ == chunk_end_ && !at_end) {
      chunk_begin_ = 0;
      chunk_end_ = read_file(chunk_.get(), kChunkBytes);
      at_end = chunk_end_ == 0;
    }
    if (at_end && decompressor_->is_whole()) return 0;
    Decompressor::Moved moved{};
    try {
      moved = decompressor_->move(chunk_.get() + chunk_begin_, chunk_end_ - chunk_begin_, to, most);
    } catch (const std::runtime_error& format) {
      throw FileError(path_, std::string("is no whole ") + format.what() +
                                 " file: it is damaged after byte " +
                                 std::to_string(bytes_read_ - int64_t(chunk_end_ - chunk_begin_)) +
                                 "; fetch it again");
    }
    chunk_begin_ += moved.taken;
    if (moved.given > 0) return moved.given;
    if (at_end) throw FileError(path_, "ends in the midst of its compressed data; fetch it again");
  }
}

std::string without_compression_suffix(const std::string& name) {
  for (const std::string_view suffix : {".gz", ".zst"})
    if (name.size() > suffix.size() &&
        std::string_view(name).substr(name.size() - suffix.size()) == suffix)
      return name.substr(0, name.size() - suffix.size());
  return name;
}

}  // namespace rec
