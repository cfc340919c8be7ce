// Times as files have them: numbers, or dates, which become seconds since 1970 (UTC).
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace rec {

// "964982703", "964982703.5" (cut down), "2018-01-31", "2018-01-31 23:59:59", "2018-01-31T23:59:59Z".
// None for anything else, and for numbers of 9e15 and more: micro- or nanoseconds.
std::optional<int64_t> parsed_time(std::string_view text);
// None for numbers.
std::optional<int64_t> parsed_date(std::string_view text);

}  // namespace rec
