// What a kernel's bench says about one call, and how it is timed.
//
// A bench derives the bytes and flops of one call in a comment, names the machine limit that binds
// the kernel, and passes the call to measure(). rec_bench then prints the median and spread over
// repetitions, the rate, and the share of that limit,
// which it measures on this machine when it is first asked for.
#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>

#include "bench/place.h"
#include "bench/shapes.h"

namespace rec::bench {

// One of this machine's own limits: of the processors or, for a call on the GPU, of the GPU.
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

// The same for a kernel with a CUDA version: cpu_call() on the processors, or
// cuda_call(auto stream), which puts the call into the stream, on the GPU. `auto`, so that a build
// without CUDA does not compile what it calls. Arrays of both lie in the place (Place::put).
template <class CpuCall, class CudaCall>
void measure(benchmark::State& state, const Work& work, const Place& place, CpuCall cpu_call,
             CudaCall cuda_call);

// Registers run for each shape in bench/shapes.h, as "kernel/shape".
// Returns true, to initialise a constant.
bool add_kernel_bench(const std::string& kernel, void (*run)(benchmark::State&, const Shape&));
// The same, and in a CUDA build for each of the GPU's shapes, as "kernel/shape/cuda" and, with
// caches that hold other data, "kernel/shape/cuda-flushed".
bool add_kernel_bench(const std::string& kernel,
                      void (*run)(benchmark::State&, const Shape&, Place&));

// The same without the CPU's, where that has nothing else to time.
bool add_gpu_bench(const std::string& kernel, void (*run)(benchmark::State&, const Shape&, Place&));

// The limit, in flops or bytes per second; measured once a run. 0: not known, for a product on an
// emulated GPU.
double measured(const Limit& limit, Place::Kind kind);
// "sgemm 2048: 212 GFLOP/s"
std::string describe(const Limit& limit, Place::Kind kind);
// The line that rec_bench prints a limit by, and the names of the counters it reads.
void report(benchmark::State& state, const Work& work, Place::Kind kind);
// Times what is put into the stream, by the GPU's own clock, in state's loop.
void measure_on_gpu(benchmark::State& state, const Work& work, Place::Kind kind,
                    const std::function<void(Stream)>& enqueue);

template <class Call>
void measure(benchmark::State& state, const Work& work, Call call) {
  call();
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  report(state, work, Place::Kind::cpu);
}

template <class CpuCall, class CudaCall>
void measure(benchmark::State& state, const Work& work, const Place& place, CpuCall cpu_call,
             CudaCall cuda_call) {
  if (!place.is_gpu()) return measure(state, work, cpu_call);
#if defined(REC_CUDA)
  measure_on_gpu(state, work, place.kind(), cuda_call);
#else
  (void)cuda_call;
#endif
}

}  // namespace rec::bench
