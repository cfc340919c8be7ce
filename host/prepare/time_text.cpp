#include "host/prepare/time_text.h"

#include <charconv>
#include <chrono>
#include <cmath>

namespace rec {
namespace {

// The digits of text from `first` on as a number, or -1.
int digits(std::string_view text, size_t first, size_t count) {
  int value = 0;
  for (size_t i = first; i < first + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = 10 * value + (text[i] - '0');
  }
  return value;
}

}  // namespace

std::optional<int64_t> parsed_date(std::string_view text) {
  constexpr size_t kDate = 10, kDateAndTime = 19;  // "2018-01-31", "2018-01-31 23:59:59"
  if (text.size() == kDateAndTime + 1 && text.back() == 'Z') text.remove_suffix(1);
  if (text.size() != kDate && text.size() != kDateAndTime) return std::nullopt;
  if (text[4] != '-' || text[7] != '-') return std::nullopt;
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(unsigned(month)),
                                         std::chrono::day(unsigned(day))};
  if (year < 0 || month < 0 || day < 0 || !date.ok()) return std::nullopt;
  int64_t seconds =
      int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * (24 * 60 * 60);
  if (text.size() == kDate) return seconds;
  if ((text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  return seconds + 60 * (60 * hour + minute) + second;
}

std::optional<int64_t> parsed_time(std::string_view text) {
  const char* last = text.data() + text.size();
  int64_t whole = 0;
  const auto [rest, error] = std::from_chars(text.data(), last, whole);
  constexpr double kLargest = 9e15;
  if (error == std::errc() && rest == last)
    return std::abs(double(whole)) < kLargest ? std::optional(whole) : std::nullopt;
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), last, value);
  if (failure == std::errc() && end == last && std::abs(value) < kLargest)
    return int64_t(std::floor(value));
  return parsed_date(text);
}

}  // namespace rec
