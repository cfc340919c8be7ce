// Files that commands write for programs; - stands for standard output.
#pragma once
#include <string>

namespace rec {

bool is_standard_output(const std::string& file);
void write_output(const std::string& file, const std::string& text);

// Refuses two options that name one file: the second would take the place of the first. A file that
// is "" was not asked for.
void refuse_same_file(const std::string& option_a, const std::string& file_a,
                      const std::string& option_b, const std::string& file_b);

}  // namespace rec
