// Text on its way into a file, a few words at a time: of any size in little memory. The file appears
// whole or not at all (atomic_file.h).
#pragma once
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "host/formats/atomic_file.h"

namespace rec {

class TextFile {
 public:
  // Throws FileError, as the others do, where the file cannot be written.
  explicit TextFile(const std::string& path) : file_(path) {}
  template <class... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    flush_if_much();
  }
  // As they are: what stands in a file by the million is formatted without reading a format.
  void append(std::string_view text) {
    text_ += text;
    flush_if_much();
  }
  void append(int64_t number) {
    const fmt::format_int digits(number);
    append(std::string_view(digits.data(), digits.size()));
  }
  // The file is at its path after this.
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush_if_much() {
    constexpr size_t kMuch = size_t{1} << 20;
    if (text_.size() > kMuch) flush();
  }
  void flush() {
    file_.write(text_);
    text_.clear();
  }
  AtomicFile file_;
  std::string text_;
};

}  // namespace rec
