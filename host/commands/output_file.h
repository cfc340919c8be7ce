// Where a command writes what programs read.
#pragma once
#include <string>
#include <vector>

namespace rec {

// "-" as the name of a file.
bool is_standard_output(const std::string& file);
// Where AtomicFile writes what goes there.
std::string output_path(const std::string& file);
void write_output(const std::string& file, const std::string& text);

// Refuses two options that name the same file: the second would take the place of the first.
struct OutputOption {
  std::string option, file;  // file: "" where the option is not given
};
void refuse_same_output(const std::vector<OutputOption>& outputs);

}  // namespace rec
