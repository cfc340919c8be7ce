#include "host/commands/output_files.h"

#include <filesystem>
#include <system_error>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"

namespace rec {

bool is_standard_output(const std::string& file) { return file == "-"; }

void write_output(const std::string& file, const std::string& text) {
  write_whole_file(is_standard_output(file) ? "/dev/stdout" : file, text);
}

void refuse_same_file(const std::string& option_a, const std::string& file_a,
                      const std::string& option_b, const std::string& file_b) {
  if (file_a.empty() || file_b.empty()) return;
  std::error_code ignored;  // a path that cannot be examined is refused when it is written
  const auto place = [&](const std::string& file) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(file, ignored), ignored);
  };
  if (place(file_a) == place(file_b))
    throw FileError(file_a, option_a + " and " + option_b + " name the same file; choose two");
}

}  // namespace rec
