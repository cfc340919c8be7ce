// Runs brought back, evaluated and compared: what compare does, and what sweep ends in.
#pragma once
#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace rec {

struct CompareOptions {
  std::string data, language, device = "auto";
  int threads = 0;
  std::string split = "test", mask;
  std::vector<int64_t> cutoffs;  // none: the first run's
  bool groups = false;
  std::string json_file, html_file;
  uint64_t seed = 101;  // of the bootstrap
};

// --split, --topk, --groups, --json, --html
void add_compare_options(CLI::App& command, CompareOptions& options);

// Prints the tables and writes what is asked for. Throws FileError where runs cannot be compared:
// other splits, or other masks.
void compare_runs(const std::vector<std::string>& paths, const CompareOptions& options);

}  // namespace rec
