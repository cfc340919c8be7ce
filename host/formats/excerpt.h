// The beginning of a text as a refusal shows it: on one line, whole letters.
#pragma once
#include <string>
#include <string_view>

namespace rec {

std::string excerpt(std::string_view text);

}  // namespace rec
