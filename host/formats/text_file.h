// Text on its way into a file, a few words at a time: of any size in little memory. The file
// appears whole or not at all (atomic_file.h).
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
    constexpr size_t kKept = size_t{1} << 20;
    if (text_.size() > kKept) flush();
  }
  // The file is at its path after this.
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush() {
    file_.write(text_);
    text_.clear();
  }
  AtomicFile file_;
  std::string text_;
};

}  // namespace rec
