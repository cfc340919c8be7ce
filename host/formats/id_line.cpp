#include "host/formats/id_line.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "host/formats/file_error.h"

namespace rec {
namespace {

constexpr int64_t kLargestId = std::numeric_limits<int32_t>::max() - 1;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

bool IdLine::next(int32_t& id) {
  at_ = std::find_if_not(at_, end_, is_blank);
  if (at_ == end_) return false;
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(at_, end_, value);
  const bool ends = rest == end_ || is_blank(*rest);
  if (error == std::errc::result_out_of_range ||
      (error == std::errc() && ends && value > kLargestId))
    refuse("id " + word() + " is too large; ids go up to " + std::to_string(kLargestId));
  if (error != std::errc() || !ends)
    refuse("'" + word() + "' is not a number; a line is '" + layout_ + "'");
  if (value < 0) refuse("id " + word() + " is negative; ids count from 0");
  id = static_cast<int32_t>(value);
  at_ = rest;
  return true;
}

std::string IdLine::word() const {
  const char* stop = std::find_if(at_, end_, is_blank);
  std::string word(at_, size_t(std::min<ptrdiff_t>(stop - at_, 30)));
  for (char& c : word)
    if (c < ' ' || c > '~') c = '?';
  return word;
}

void IdLine::refuse(const std::string& sentence) const { throw FileError(name_, line_, sentence); }

}  // namespace rec
