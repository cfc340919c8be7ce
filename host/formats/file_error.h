// What is wrong with a file, in one sentence: where, what, and what to do about it (engine/remedy.h where that has a name
// of its own for the program's users).
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#include "engine/remedy.h"

namespace rec {

class FileError : public std::runtime_error, public WithRemedy {
 public:
  // "FILE: sentence"
  FileError(const std::string& file, const std::string& sentence, Remedy remedy = Remedy::none)
      : std::runtime_error(file + ": " + sentence), WithRemedy(remedy) {}
  // "FILE:LINE: sentence", lines from 1
  FileError(const std::string& file, int64_t line, const std::string& sentence)
      : std::runtime_error(file + ":" + std::to_string(line) + ": " + sentence),
        WithRemedy(Remedy::none) {}
};

}  // namespace rec
