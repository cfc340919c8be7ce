#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "engine/gpu_report.h"
#include "host/commands/commands.h"
#include "host/run/memory.h"
#include "host/version.h"
#include "kernels/common/gemm.h"
#include "kernels/common/simd.h"

namespace rec {
namespace {

int run_doctor() {
  fmt::print("version    {} (commit {})\n", kVersion, kCommit);
  fmt::print("compiler   {}, {} build\n", kCompiler, kBuildType);
  fmt::print("cpu        {} in use\n", simd_level());
  fmt::print("threads    {} usable of {} in the machine\n", omp_get_num_procs(),
             std::thread::hardware_concurrency());
  fmt::print("blas       {}\n", cpu::blas_in_use());
  const GpuReport report = gpu_report();
  if (!report.runtime.empty())
    fmt::print("cuda       runtime {}, driver {}\n", report.runtime,
               report.driver.empty() ? "not found" : report.driver);
  for (const GpuFacts& gpu : report.gpus)
    fmt::print("gpu        {}, compute capability {}.{}, {} multiprocessors, {}\n", gpu.name,
               gpu.major, gpu.minor, gpu.multiprocessors, bytes_text(gpu.memory_bytes));
  if (report.runtime.empty()) fmt::print("cuda       not compiled in\n");
  fmt::print("memory     {} available\n", bytes_text(available_memory()));
  const std::string simd = simd_level();
  if (simd == "baseline")
    fmt::print(
        "advice     this CPU has neither AVX2 nor AVX-512: everything works, several times "
        "slower\n");
  if (omp_get_num_procs() < int(std::thread::hardware_concurrency()))
    fmt::print(
        "advice     this process may use only some of the processors; see taskset or the "
        "container's limits\n");
  if (std::string(kBuildType) != "Release")
    fmt::print(
        "advice     this is not a Release build; for speed use: cmake --preset cpu && cmake "
        "--build --preset cpu\n");
  if (!report.problem.empty())
    fmt::print("advice     {}: --device cuda is refused, auto uses the CPU\n", report.problem);
  return 0;
}

}  // namespace

Command add_doctor(CLI::App& app) {
  app.add_subcommand("doctor", "What this program runs on, and what is missing");
  return run_doctor;
}

}  // namespace rec
