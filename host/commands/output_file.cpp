#include "host/commands/output_file.h"

#include <filesystem>
#include <system_error>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"

namespace rec {

bool is_standard_output(const std::string& file) { return file == "-"; }

std::string output_path(const std::string& file) {
  return is_standard_output(file) ? "/dev/stdout" : file;
}

void write_output(const std::string& file, const std::string& text) {
  write_whole_file(output_path(file), text);
}

void refuse_same_output(const std::vector<OutputOption>& outputs) {
  std::error_code ignored;  // a path that cannot be examined is refused when it is written
  const auto place = [&](const std::string& file) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(file, ignored), ignored);
  };
  for (size_t a = 0; a < outputs.size(); ++a)
    for (size_t b = a + 1; b < outputs.size(); ++b)
      if (!outputs[a].file.empty() && !outputs[b].file.empty() &&
          place(outputs[a].file) == place(outputs[b].file))
        throw FileError(outputs[a].file, outputs[a].option + " and " + outputs[b].option +
                                             " name the same file; choose two");
}

}  // namespace rec
