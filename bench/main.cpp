// rec_bench: times every kernel and says how near it comes to this machine's own limits.
//
//   rec_bench [--json FILE] [Google Benchmark's own options, such as --benchmark_filter=ranking]
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <exception>
#include <map>
#include <string>
#include <vector>

#include "bench/facts.h"
#include "bench/machine.h"
#include "bench/quartiles.h"
#include "host/version.h"
#include "kernels/common/simd.h"

namespace rec::bench {
namespace {

// One line a bench: median and quartiles over the repetitions.
class Table : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    fmt::print(GetOutputStream(), "{}, {} threads, {}; rec_engine {} ({}), {} {}\n\n", cpu_name(),
               threads(), simd_level(), kVersion, kCommit, kCompiler, kBuildType);
    fmt::print(GetOutputStream(), "{:<48}{:>10}{:>19}{:>17}  {}\n", "bench", "median", "quartiles",
               "rate", "share of the machine's limit");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<double> times;
    for (const Run& run : runs) {
      if (run.error_occurred)
        fmt::print(GetOutputStream(), "{:<48}{}\n", run.benchmark_name(), run.error_message);
      else if (run.run_type == Run::RT_Iteration)
        times.push_back(run.GetAdjustedRealTime());
    }
    if (times.empty()) return;  // what Google Benchmark aggregates, this table does itself
    const Quartiles time = quartiles(times);
    // A rate is the same call's work over another time.
    const Run& first = runs.front();
    const auto at_median = [&](const char* counter) {
      const auto found = first.counters.find(counter);
      return found == first.counters.end()
                 ? 0.0
                 : found->second.value * first.GetAdjustedRealTime() / time.median;
    };
    const double flops = at_median("GFLOP/s"), bytes = at_median("GB/s");
    const bool counts_flops = first.report_label.rfind("sgemm", 0) == 0;
    fmt::print(GetOutputStream(),
               "{:<48}{:>7.3f} ms{:>8.3f} ..{:>8.3f}{:>9.3g} {}  {:.0f}% of {}\n",
               first.run_name.function_name, time.median, time.lower, time.upper,
               counts_flops ? flops : bytes, counts_flops ? "GFLOP/s" : "GB/s   ",
               100.0 * at_median("share"), first.report_label);
    GetOutputStream().flush();
  }
};

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  using namespace rec::bench;
  // Ours first, so that what is given after them wins.
  std::vector<std::string> words = {argv[0], "--benchmark_repetitions=7",
                                    "--benchmark_min_time=0.1"};
  for (int a = 1; a < argc; ++a) {
    const std::string word = argv[a];
    if (word != "--json") {
      words.push_back(word);
      continue;
    }
    if (a + 1 == argc) {
      fmt::print(stderr, "rec_bench: --json needs the name of a file to write\n");
      return 1;
    }
    words.push_back(fmt::format("--benchmark_out={}", argv[++a]));
    words.push_back("--benchmark_out_format=json");
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  int count = int(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 1;

  for (const auto& [name, value] : facts()) benchmark::AddCustomContext(name, value);
  Table table;
  try {
    if (benchmark::RunSpecifiedBenchmarks(&table) == 0) {
      fmt::print(stderr, "rec_bench: no bench matches\n");
      return 1;
    }
  } catch (const std::exception& error) {  // a GPU that failed, or has too little memory
    fmt::print(stderr, "rec_bench: {}\n", error.what());
    return 1;
  }
}
