// What a kernel's bench says about one call, and how it is timed.
//
// A bench derives the bytes and flops of one call in a comment, names the machine limit that binds
// the kernel, and passes the call to measure(). rec_bench then prints the median and spread over
// repetitions, the rate, and the share of that limit,
// which it measures on this machine when it is first asked for.
#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "bench/shapes.h"

namespace rec::bench {

// One of this machine's own limits.
struct Limit {
  enum class Kind { sgemm, copy, gather };
  Kind kind = Kind::sgemm;
  double working_set = 0;  // copy: bytes read and written by one call; gather: bytes of the table
  double row_bytes = 0;    // gather

  // Flops per second of a large single-precision matrix product, all threads (OpenBLAS).
  static Limit sgemm() { return {}; }
  // Bytes read plus bytes written per second by a copy, of arrays far beyond every cache, or of
  // arrays that together hold working_set bytes:
  // kernels that stay in a cache are held to the cache.
  static Limit copy() { return {Kind::copy, 0, 0}; }
  static Limit copy_of(double working_set) { return {Kind::copy, working_set, 0}; }
  // Bytes read per second when rows of row_bytes are added
  // up at random from a table of table_bytes.
  static Limit gather(double row_bytes, double table_bytes) {
    return {Kind::gather, table_bytes, row_bytes};
  }
};

// Of one call. What the limit counts must be above 0: flops for sgemm, bytes for copy and gather.
struct Work {
  double bytes = 0;
  double flops = 0;
  Limit limit;
};

// Times call() in state's loop, after one call that is not counted.
template <class Call>
void measure(benchmark::State& state, const Work& work, Call call);

// Registers run for each shape in bench/shapes.h, as "kernel/shape".
// Returns true, to initialise a constant.
bool add_kernel_bench(const std::string& kernel, void (*run)(benchmark::State&, const Shape&));

// The limit, in flops or bytes per second; measured once a run.
double measured(const Limit& limit);
// "sgemm 2048: 212 GFLOP/s"
std::string describe(const Limit& limit);
// The line that rec_bench prints a limit by, and the names of the counters it reads.
void report(benchmark::State& state, const Work& work);

template <class Call>
void measure(benchmark::State& state, const Work& work, Call call) {
  call();
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  report(state, work);
}

}  // namespace rec::bench
