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

// Bytes that a line "KEY: 123 kB" of a file of /proc names, or otherwise where there is none.
int64_t proc_bytes(const char* file, const char* wanted, int64_t otherwise) {
  std::ifstream in(file);
  for (std::string key; in >> key;) {
    int64_t kib = 0;
    if (key == wanted && in >> kib) return kib * 1024;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return otherwise;
}

}  // namespace

int64_t available_memory() {
  int64_t available = proc_bytes("/proc/meminfo", "MemAvailable:", kUnlimited);
  const int64_t group_limit = number_in("/sys/fs/cgroup/memory.max");
  if (group_limit != kUnlimited)
    available = std::min(
        available, group_limit - std::min(group_limit, number_in("/sys/fs/cgroup/memory.current")));
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < rlim_t(kUnlimited)) {
    const auto most = static_cast<int64_t>(limit.rlim_cur);
    const int64_t mapped = proc_bytes("/proc/self/status", "VmSize:", 0);
    available = std::min(available, most - std::min(most, mapped));
  }
  return available;
}

int64_t available_memory(const Backend& backend) {
  return backend.own_memory().value_or(available_memory());
}

std::string bytes_text(int64_t bytes) {
  if (bytes < 1 << 10) return fmt::format("{} B", bytes);
  const double value = double(bytes);
  if (value >= 0x1p30) return fmt::format("{:.1f} GiB", value * 0x1p-30);
  if (value >= 0x1p20) return fmt::format("{:.1f} MiB", value * 0x1p-20);
  return fmt::format("{:.1f} KiB", value * 0x1p-10);
}

void require_memory(const Backend& backend, int64_t needed, const std::string& what) {
  const int64_t available = available_memory(backend);
  if (needed > available)
    throw NotEnoughMemory(fmt::format(
        "{} needs {} of memory, but {} is available; use a smaller batch, hidden width or dataset",
        what, bytes_text(needed), bytes_text(available)));
}

}  // namespace rec
