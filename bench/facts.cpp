#include "bench/facts.h"

#include <fstream>
#include <limits>

#include "bench/machine.h"
#include "host/version.h"
#include "kernels/common/simd.h"

namespace rec::bench {

std::vector<std::pair<std::string, std::string>> facts() {
  return {{"cpu", cpu_name()},     {"threads", std::to_string(threads())},
          {"simd", simd_level()},  {"memory_bytes", std::to_string(memory_bytes())},
          {"compiler", kCompiler}, {"build_type", kBuildType},
          {"version", kVersion},   {"commit", kCommit}};
}

MemoryUse memory_use() {
  MemoryUse use;
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    if (key == "VmRSS:") status >> use.resident_kib;
    if (key == "VmHWM:") status >> use.peak_kib;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return use;
}

}  // namespace rec::bench
