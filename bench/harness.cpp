#include "bench/harness.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "bench/gpu/limits.h"
#include "bench/machine.h"
#include "host/run/memory.h"

namespace rec::bench {
namespace {

constexpr int64_t kGpuGemmSize = 4096;  // m = n = k

// Iterations of one repetition on a GPU, and how long the calls of one last together.
constexpr int kGpuIterations = kEmulatedGpu ? 2 : 20;
constexpr double kGpuIterationMs = 1.0;
constexpr int64_t kGpuCallsMost = 100;

// Far beyond a GPU's L2.
constexpr int64_t kGpuBeyondCache = kEmulatedGpu ? int64_t{64} << 10 : int64_t{1} << 30;

// copy: bytes of one of the two arrays
double array_bytes(const Limit& limit, Place::Kind kind) {
  const double beyond_cache =
      kind == Place::Kind::cpu ? double(bytes_beyond_cache()) : double(kGpuBeyondCache);
  return limit.working_set > 0 && kind != Place::Kind::gpu_flushed ? limit.working_set / 2
                                                                   : beyond_cache;
}

double measure_cpu_limit(const Limit& limit) {
  switch (limit.kind) {
    case Limit::Kind::sgemm: return sgemm_rate();
    case Limit::Kind::copy: return copy_rate(int64_t(array_bytes(limit, Place::Kind::cpu)));
    case Limit::Kind::gather:
      return gather_rate(int64_t(limit.row_bytes), int64_t(limit.working_set));
  }
  return 0;
}

#if defined(REC_CUDA)
double measure_gpu_limit(const Limit& limit, Place::Kind kind) {
  switch (limit.kind) {
    case Limit::Kind::sgemm:
      return gpu_gemm_rate(kGpuGemmSize, kGpuGemmSize, kGpuGemmSize, Precision::fp32, false);
    case Limit::Kind::copy: return gpu_copy_rate(int64_t(array_bytes(limit, kind)));
    case Limit::Kind::gather:
      return gpu_gather_rate(int64_t(limit.row_bytes), int64_t(limit.working_set));
  }
  return 0;
}
#else
double measure_gpu_limit(const Limit&, Place::Kind) { return 0; }
#endif

template <class Run>
benchmark::internal::Benchmark* add(const std::string& name, Run run) {
  return benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMillisecond);
}

auto add_at(const std::string& kernel, void (*run)(benchmark::State&, const Shape&, Place&),
            const Shape& shape, Place::Kind kind, const char* suffix) {
  return add(fmt::format("{}/{}{}", kernel, shape.name, suffix),
             [run, &shape, kind](benchmark::State& state) {
               Place place(kind);
               run(state, shape, place);
             });
}

}  // namespace

double measured(const Limit& limit, Place::Kind kind) {
  static std::map<std::tuple<int, int, double, double>, double> known;
  const auto key = std::tuple(int(kind), int(limit.kind), limit.working_set, limit.row_bytes);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  return known[key] =
             kind == Place::Kind::cpu ? measure_cpu_limit(limit) : measure_gpu_limit(limit, kind);
}

std::string describe(const Limit& limit, Place::Kind kind) {
  const double rate = measured(limit, kind) / 1e9;
  switch (limit.kind) {
    case Limit::Kind::sgemm:
      return rate > 0 ? fmt::format("sgemm {}^3: {:.3g} GFLOP/s",
                                    kind == Place::Kind::cpu ? kSgemmSize : kGpuGemmSize, rate)
                      : "sgemm: not known";
    case Limit::Kind::copy:
      return fmt::format("copy of {}: {:.3g} GB/s", bytes_text(int64_t(array_bytes(limit, kind))),
                         rate);
    case Limit::Kind::gather:
      return fmt::format("gather of {} rows from {}: {:.3g} GB/s",
                         bytes_text(int64_t(limit.row_bytes)),
                         bytes_text(int64_t(limit.working_set)), rate);
  }
  return {};
}

void report(benchmark::State& state, const Work& work, Place::Kind kind) {
  using benchmark::Counter;
  const double counted = work.limit.kind == Limit::Kind::sgemm ? work.flops : work.bytes;
  if (work.bytes > 0)
    state.counters["GB/s"] = Counter(work.bytes / 1e9, Counter::kIsIterationInvariantRate);
  if (work.flops > 0)
    state.counters["GFLOP/s"] = Counter(work.flops / 1e9, Counter::kIsIterationInvariantRate);
  const double limit = measured(work.limit, kind);
  if (limit > 0)
    state.counters["share"] = Counter(counted / limit, Counter::kIsIterationInvariantRate);
  state.SetLabel(describe(work.limit, kind));
}

void measure_on_gpu(benchmark::State& state, const Work& work, Place::Kind kind,
                    const std::function<void(Stream)>& enqueue) {
  const bool flush = kind == Place::Kind::gpu_flushed;
  // A row of calls, so that the launches hide behind one another; flushed, only one fits between.
  int64_t calls = 1;
  if (!flush && !kEmulatedGpu) {
    gpu_milliseconds(enqueue, flush);
    calls = std::clamp(int64_t(kGpuIterationMs / std::max(gpu_milliseconds(enqueue, flush), 1e-6)),
                       int64_t{1}, kGpuCallsMost);
  }
  const auto row_of_calls = [&](Stream stream) {
    for (int64_t c = 0; c < calls; ++c) enqueue(stream);
  };
  gpu_milliseconds(row_of_calls, flush);
  for (auto _ : state)
    state.SetIterationTime(gpu_milliseconds(row_of_calls, flush) / 1e3 / double(calls));
  report(state, work, kind);
}

bool add_kernel_bench(const std::string& kernel, void (*run)(benchmark::State&, const Shape&)) {
  for (const Shape& shape : kShapes)
    add(fmt::format("{}/{}", kernel, shape.name), [run, &shape](benchmark::State& state) {
      run(state, shape);
    })->UseRealTime();
  return true;
}

bool add_kernel_bench(const std::string& kernel,
                      void (*run)(benchmark::State&, const Shape&, Place&)) {
  for (const Shape& shape : kShapes)
    add_at(kernel, run, shape, Place::Kind::cpu, "")->UseRealTime();
  return add_gpu_bench(kernel, run);
}

bool add_gpu_bench(const std::string& kernel,
                   void (*run)(benchmark::State&, const Shape&, Place&)) {
  if (bench_stream() == nullptr) return true;
  const auto on_gpu = [&](const Shape& shape) {
    for (const auto& [kind, suffix] : {std::pair(Place::Kind::gpu, "/cuda"),
                                       std::pair(Place::Kind::gpu_flushed, "/cuda-flushed")})
      add_at(kernel, run, shape, kind, suffix)->UseManualTime()->Iterations(kGpuIterations);
  };
  if constexpr (kEmulatedGpu)
    for (const Shape& shape : kTinyShapes) on_gpu(shape);
  else
    for (const Shape& shape : kPaperShapes) on_gpu(shape);
  return true;
}

}  // namespace rec::bench
