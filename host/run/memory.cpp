#include "host/run/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <stdexcept>

namespace rec {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

int64_t number_in(const char* file) {
  int64_t value = kUnlimited;
  std::ifstream in(file);
  return in >> value ? value : kUnlimited;  // "max" is no number
}

int64_t system_available() {
  std::ifstream in("/proc/meminfo");
  for (std::string key; in >> key;) {
    int64_t kib = 0;
    if (key == "MemAvailable:" && in >> kib) return kib * 1024;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnlimited;
}

}  // namespace

int64_t available_memory() {
  int64_t available = system_available();
  const int64_t group_limit = number_in("/sys/fs/cgroup/memory.max");
  if (group_limit != kUnlimited)
    available = std::min(
        available, group_limit - std::min(group_limit, number_in("/sys/fs/cgroup/memory.current")));
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    available = std::min(available, static_cast<int64_t>(limit.rlim_cur));
  return available;
}

std::string bytes_text(int64_t bytes) {
  const double value = double(bytes);
  if (value >= 0x1p30) return fmt::format("{:.1f} GiB", value * 0x1p-30);
  if (value >= 0x1p20) return fmt::format("{:.1f} MiB", value * 0x1p-20);
  return fmt::format("{:.1f} KiB", value * 0x1p-10);
}

void require_memory(int64_t needed, const std::string& what) {
  const int64_t available = available_memory();
  if (needed > available)
    throw std::runtime_error(fmt::format(
        "{} needs {} of memory, but {} is available; use a smaller batch, hidden width or dataset",
        what, bytes_text(needed), bytes_text(available)));
}

}  // namespace rec
