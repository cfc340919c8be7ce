// What a result says of the machine and the build that made it.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rec::bench {

// cpu, threads, simd, memory_bytes, compiler, build_type, version, commit: names and values.
std::vector<std::pair<std::string, std::string>> facts();

// Of this process, in KiB: pages it holds now, and the most it has held.
struct MemoryUse {
  int64_t resident_kib = 0;
  int64_t peak_kib = 0;
};
MemoryUse memory_use();

}  // namespace rec::bench
