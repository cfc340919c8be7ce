// The CPU backend as a backend: threads of its own, memory, and who is refused.
#include <omp.h>

#include <catch2/catch.hpp>
#include <cstdint>

#include "engine/backend_cpu.h"
#include "engine/buffer.h"
#include "engine/gpu_report.h"
#include "kernels/common/threads.h"

namespace rec::test {

TEST_CASE("cpu backend: each uses its own threads and leaves the caller's alone", "[engine]") {
  const cpu::ThreadsInUse callers(5);
  const auto one = make_cpu_backend(1), three = make_cpu_backend(3);
  const auto threads_in = [](Backend& backend) {
    int threads = 0;
    backend.step(&backend, [&] { threads = omp_get_max_threads(); });
    return threads;
  };
  CHECK(threads_in(*one) == 1);
  CHECK(threads_in(*three) == 3);
  CHECK(threads_in(*one) == 1);
  CHECK(omp_get_max_threads() == 5);

  Matrix<float> e(*one, 4, 2), n(*one, 4, 2);
  Array<float> norm(*one, 4);
  one->normalise(e.view(), n.view(), norm.view());
  CHECK(omp_get_max_threads() == 5);
}

TEST_CASE("cpu backend: memory comes zeroed and aligned to cache lines", "[engine]") {
  const auto backend = make_cpu_backend(1);
  for (int round = 0; round < 3; ++round) {
    Array<int32_t> values(*backend, 1000);
    CHECK(reinterpret_cast<uintptr_t>(values.data()) % 64 == 0);
    for (int32_t value : values.to_host(*backend)) CHECK(value == 0);
    const std::vector<int32_t> ones(1000, 1);
    backend->upload(values.data(), ones.data(), sizeof(int32_t) * ones.size());
    CHECK(values.to_host(*backend) == ones);
  }
}

TEST_CASE("make_backend: what is not there is refused, only auto settles for less", "[engine]") {
  CHECK(make_backend("cpu", 2).backend->name().rfind("cpu, 2 threads", 0) == 0);
  CHECK(make_backend("cpu", 2).notice.empty());
  for (const char* device : {"tpu", "cuda:", "cuda:x", "cuda:1x", "cuda0", "cuda:-1"})
    CHECK_THROWS_WITH(make_backend(device, 1), Catch::Contains("auto, cpu, cuda"));
  const GpuReport gpu = gpu_report();
  if (gpu.problem.empty()) {
    CHECK(make_backend("auto", 1).notice.empty());
    CHECK(make_backend("cuda", 1).backend->name().rfind("cuda:0, ", 0) == 0);
    CHECK_THROWS_WITH(make_backend("cuda:99", 1), Catch::Contains("there is no GPU 99"));
  } else {
    CHECK_THAT(make_backend("auto", 1).notice,
               Catch::Contains(gpu.problem) && Catch::Contains("using the CPU"));
    for (const char* device : {"cuda", "cuda:1"})
      CHECK_THROWS_WITH(make_backend(device, 1), Catch::Contains(device) &&
                                                     Catch::Contains(gpu.problem) &&
                                                     Catch::Contains("--device cpu"));
  }
}

}  // namespace rec::test
