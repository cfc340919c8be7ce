// What the program can say about GPUs before it uses one.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace rec {

struct GpuFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
};

struct GpuReport {
  std::string problem;          // empty, or why no GPU can be used: part of a sentence
  std::string driver, runtime;  // versions, "13.0"; empty where there are none
  std::vector<GpuFacts> gpus;
};

// Never throws: what is wrong is in `problem`.
GpuReport gpu_report();

}  // namespace rec
