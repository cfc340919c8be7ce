#include "bench/machine.h"

#include <cblas.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <vector>

#include "bench/shapes.h"
#include "kernels/common/gemm.h"
#include "kernels/common/simd.h"

namespace rec::bench {
namespace {

// The shortest of several runs, in seconds: a limit is what the
// machine can do, not what it did on average.
template <class Call>
double shortest_s(Call call) {
  constexpr int kRuns = 9;
  double shortest = 1e30;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (run > 0) shortest = std::min(shortest, taken.count());
  }
  return shortest;
}

constexpr int64_t kRowsInFlight = 8;  // how far ahead rows are asked for
constexpr int64_t kLine = 64;

// Adds up all values of rows[0 .. count) of a table of rows of `width` floats, `width` a multiple
// of 16: loads and additions in registers, nothing else.
REC_SIMD_CLONES float add_up_rows(const float* table, int64_t width, const int32_t* rows,
                                  int64_t count, bool ask_ahead) {
  using Lanes = float __attribute__((vector_size(64)));
  constexpr int64_t kLanes = 16;
  Lanes even = {}, odd = {};  // named, because g++ keeps an array of them in memory
  for (int64_t j = 0; j < count; ++j) {
    if (ask_ahead && j + kRowsInFlight < count) {
      const char* ahead = reinterpret_cast<const char*>(table + rows[j + kRowsInFlight] * width);
      for (int64_t byte = 0; byte < width * 4; byte += kLine) __builtin_prefetch(ahead + byte);
    }
    const float* row = table + rows[j] * width;
    const auto add = [row](int64_t c, Lanes& sum) {
      Lanes values;
      __builtin_memcpy(&values, row + c, sizeof(values));
      sum += values;
    };
    int64_t c = 0;
    for (; c + 4 * kLanes <= width; c += 4 * kLanes) {
      add(c, even);
      add(c + kLanes, odd);
      add(c + 2 * kLanes, even);
      add(c + 3 * kLanes, odd);
    }
    for (; c < width; c += kLanes) add(c, even);
  }
  return even[0] + odd[0];
}

}  // namespace

int threads() { return omp_get_max_threads(); }

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown";
}

int64_t memory_bytes() { return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE); }

double sgemm_rate() {
  constexpr int64_t n = kSgemmSize;
  HostMatrix a = HostMatrix::random(n, n, 1), b = HostMatrix::random(n, n, 2), c(n, n);
  cpu::blas_in_use();
  const int before = openblas_get_num_threads();
  openblas_set_num_threads(threads());
  const double seconds = shortest_s([&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1.0f, a.view().data, n,
                b.view().data, n, 0.0f, c.view().data, n);
  });
  openblas_set_num_threads(before);
  return 2.0 * n * n * n / seconds;
}

int64_t bytes_beyond_cache() {
  const int64_t last_cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 64 << 20);
  return std::min(4 * last_cache, memory_bytes() / 16);
}

double copy_rate(int64_t array_bytes) {
  const int64_t floats = std::max<int64_t>(array_bytes / 4, threads());
  HostMatrix from = HostMatrix(1, floats), to(1, floats);
  // Small arrays are copied often enough for the clock.
  const int64_t times = std::max<int64_t>(1, (int64_t{64} << 20) / (floats * 4));
  const double seconds = shortest_s([&] {
#pragma omp parallel
    {
      const int64_t share = floats / omp_get_num_threads();
      const int64_t first = share * omp_get_thread_num();
      for (int64_t t = 0; t < times; ++t)
        std::memcpy(to.flat().data + first, from.flat().data + first, size_t(share) * 4);
    }
  });
  return 2.0 * 4.0 * double(floats) * double(times) / seconds;
}

double gather_rate(int64_t row_bytes, int64_t table_bytes) {
  const int64_t width = std::max<int64_t>(row_bytes / 64, 1) * 16;
  const int64_t table_rows = std::max<int64_t>(table_bytes / (width * 4), 1);
  HostMatrix table = HostMatrix(table_rows, width);
  const int64_t gathered = std::max<int64_t>((int64_t{128} << 20) / (width * 4), 4096);
  std::vector<int32_t> rows(static_cast<size_t>(gathered));
  std::minstd_rand random(3);
  for (int32_t& row : rows) row = int32_t(random() % uint64_t(table_rows));
  double fastest = 0;
  for (bool ask_ahead : {false, true}) {
    const double seconds = shortest_s([&] {
#pragma omp parallel
      {
        const int64_t share = gathered / omp_get_num_threads();
        // the sum must be looked at, or nothing needs to be added
        volatile float seen = add_up_rows(
            table.view().data, width, rows.data() + share * omp_get_thread_num(), share, ask_ahead);
        (void)seen;
      }
    });
    fastest = std::max(fastest, double(gathered) * double(width) * 4.0 / seconds);
  }
  return fastest;
}

}  // namespace rec::bench
