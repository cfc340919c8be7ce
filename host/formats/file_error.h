// What is wrong with a file, in one sentence: where, what, and what to do about it.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace rec {

class FileError : public std::runtime_error {
 public:
  // "FILE: sentence"
  FileError(const std::string& file, const std::string& sentence)
      : std::runtime_error(file + ": " + sentence) {}
  // "FILE:LINE: sentence", lines from 1
  FileError(const std::string& file, int64_t line, const std::string& sentence)
      : std::runtime_error(file + ":" + std::to_string(line) + ": " + sentence) {}
};

}  // namespace rec
