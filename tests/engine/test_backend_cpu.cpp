// The CPU backend as a backend: threads of its own, memory, and who is refused.
#include <omp.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend_cpu.h"
#include "engine/buffer.h"
#include "engine/gpu_report.h"
#include "kernels/common/threads.h"
#include "tests/support/on_backends.h"
#include "tests/support/operands.h"

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
      CHECK_THROWS_WITH(make_backend(device, 1),
                        Catch::Contains(device) && Catch::Contains(gpu.problem));
  }
}

TEST_CASE("make_backend: the CPU refuses what it cannot compute, auto as well", "[engine]") {
  CHECK(make_backend("cpu", 1, Precision::fp32).backend->stored_element() == Element::float32);
  const GpuReport gpu = gpu_report();
  for (Precision precision : {Precision::tf32, Precision::bf16}) {
    const std::string name = precision_name(precision);
    CHECK_THROWS_WITH(make_backend("cpu", 1, precision), Catch::Contains("precision " + name));
    if (!gpu.problem.empty()) {
      CHECK_THROWS_WITH(make_backend("auto", 1, precision),
                        Catch::Contains(name) && Catch::Contains(gpu.problem));
      continue;
    }
    for (const char* device : {"auto", "cuda"})
      CHECK(make_backend(device, 1, precision).backend->stored_element() ==
            (precision == Precision::bf16 ? Element::bfloat16 : Element::float32));
  }
  CHECK_THROWS_WITH(precision_named("fp16"), Catch::Contains("fp32, tf32 or bf16"));
}

namespace {

std::vector<double> stored_values(Backend& backend, StoredView m) {
  const auto all = [&](auto values) {
    values.resize(size_t(m.rows * m.cols));
    backend.download(values.data(), m.data, sizeof(values[0]) * values.size());
    return values;
  };
  if (m.element == Element::float32) {
    const std::vector<float> values = all(std::vector<float>());
    return {values.begin(), values.end()};
  }
  std::vector<double> wide;
  for (Bf16 value : all(std::vector<Bf16>())) wide.push_back(to_float(value));
  return wide;
}

}  // namespace

// Also with so many rows that they are rounded and uploaded in parts, the last of them smaller.
TEST_CASE("stored matrices: the host's values, as the backend stores them", "[engine]") {
  for (const std::string& device : test_devices())
    for (Precision precision : precisions_of(device)) {
      const auto backend = make_backend(device, 1, precision).backend;
      for (const auto& [rows, cols] :
           std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {3, 0}, {1, 1}, {7, 5}, {70'001, 31}}) {
        CAPTURE(device, precision_name(precision), rows, cols);
        std::vector<float> values(size_t(rows * (cols + 2)));
        for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0f + float(i % 1999) / 1024.0f;
        const MatrixView<const float> host(values.data(), rows, cols, cols + 2);
        std::vector<double> want;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < cols; ++c)
            want.push_back(precision == Precision::bf16 ? bf16_value(host(r, c)) : host(r, c));
        CHECK((stored_values(*backend, StoredMatrix(*backend, host).view()) == want));
      }
    }
}

}  // namespace rec::test
