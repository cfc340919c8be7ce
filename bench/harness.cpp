#include "bench/harness.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

#include "bench/machine.h"
#include "host/run/memory.h"

namespace rec::bench {
namespace {

// copy: bytes of one of the two arrays
double array_bytes(const Limit& limit) {
  return limit.working_set > 0 ? limit.working_set / 2 : double(bytes_beyond_cache());
}

}  // namespace

double measured(const Limit& limit) {
  static std::map<std::tuple<int, double, double>, double> known;
  const auto key = std::tuple(int(limit.kind), limit.working_set, limit.row_bytes);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  double rate = 0;
  switch (limit.kind) {
    case Limit::Kind::sgemm: rate = sgemm_rate(); break;
    case Limit::Kind::copy: rate = copy_rate(int64_t(array_bytes(limit))); break;
    case Limit::Kind::gather:
      rate = gather_rate(int64_t(limit.row_bytes), int64_t(limit.working_set));
      break;
  }
  return known[key] = rate;
}

std::string describe(const Limit& limit) {
  const double rate = measured(limit) / 1e9;
  switch (limit.kind) {
    case Limit::Kind::sgemm: return fmt::format("sgemm {0}^3: {1:.3g} GFLOP/s", kSgemmSize, rate);
    case Limit::Kind::copy:
      return fmt::format("copy of {}: {:.3g} GB/s", bytes_text(int64_t(array_bytes(limit))), rate);
    case Limit::Kind::gather:
      return fmt::format("gather of {} rows from {}: {:.3g} GB/s",
                         bytes_text(int64_t(limit.row_bytes)),
                         bytes_text(int64_t(limit.working_set)), rate);
  }
  return {};
}

void report(benchmark::State& state, const Work& work) {
  using benchmark::Counter;
  const double counted = work.limit.kind == Limit::Kind::sgemm ? work.flops : work.bytes;
  if (work.bytes > 0)
    state.counters["GB/s"] = Counter(work.bytes / 1e9, Counter::kIsIterationInvariantRate);
  if (work.flops > 0)
    state.counters["GFLOP/s"] = Counter(work.flops / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["share"] =
      Counter(counted / measured(work.limit), Counter::kIsIterationInvariantRate);
  state.SetLabel(describe(work.limit));
}

bool add_kernel_bench(const std::string& kernel, void (*run)(benchmark::State&, const Shape&)) {
  for (const Shape& shape : kShapes)
    benchmark::RegisterBenchmark(fmt::format("{}/{}", kernel, shape.name).c_str(),
                                 [run, &shape](benchmark::State& state) { run(state, shape); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  return true;
}

}  // namespace rec::bench
