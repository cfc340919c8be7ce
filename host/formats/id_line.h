// One line of ids, numbers from 0 separated by blanks or tabs.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rec {

class IdLine {
 public:
  // name, number: file and line for the sentence of a refusal, which gives layout as what a line is.
  // All must outlive this.
  IdLine(std::string_view line, int64_t number, const std::string& name, const char* layout)
      : at_(line.data()),
        end_(line.data() + line.size()),
        line_(number),
        name_(name),
        layout_(layout) {}

  // The next id, or false at the line's end. Throws FileError for what is not an id.
  bool next(int32_t& id);

 private:
  // The word that comes next, shortened for a sentence.
  std::string word() const;
  [[noreturn]] void refuse(const std::string& sentence) const;

  const char* at_;
  const char* end_;
  int64_t line_;
  const std::string& name_;
  const char* layout_;
};

}  // namespace rec
