// Operations of the CUDA backend on a stream of the caller's, watched through the emulation: they go
// behind what the stream has to do already, and nothing waits.
#include <catch2/catch.hpp>

#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/backend_cuda.h"
#include "engine/operations.h"
#include "kernels/common/cuda_check.h"
#include "tests/emulator/device_runtime.h"
#include "tests/support/environment.h"
#include "tests/support/on_backends.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

constexpr int64_t kDim = 5, kRows = 6, kNegatives = 3;

bool has_device() { return backend_wanted("cuda") && test_stream() != nullptr; }

int64_t waits() {
  int64_t all = 0;
  for (const char* call : {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize",
                           "cudaMalloc", "cudaMallocManaged", "cudaFree", "cudaMemcpyAsync"})
    all += emulator::calls_made(call);
  return all;
}

// A batch of the caller's, and what its loss makes of vectors, in memory of the device.
struct OnDevice {
  Array<int64_t> user, positive;
  Matrix<int64_t> negative;
  Matrix<float> of_user, of_item, grad_user, grad_item, spread;
  Array<double> loss;

  OnDevice(Backend& backend, const Graph& graph)
      : user(backend, kRows),
        positive(backend, kRows),
        negative(backend, kRows, kNegatives),
        of_user(backend, graph.users(), kDim),
        of_item(backend, graph.items(), kDim),
        grad_user(backend, graph.users(), kDim),
        grad_item(backend, graph.items(), kDim),
        spread(backend, graph.nodes(), kDim),
        loss(backend, 1) {
    backend.wait();  // until all of it is zero
  }

  // As whoever calls puts them there: in the stream's order.
  void fill(Stream stream, const Graph& graph, int64_t first_user) {
    static std::vector<int64_t> host_user, host_positive, host_negative;
    static std::vector<float> host_vectors;
    host_user.clear(), host_positive.clear(), host_negative.clear(), host_vectors.clear();
    for (int64_t b = 0; b < kRows; ++b) {
      host_user.push_back(b == 0 ? first_user : b % graph.users());
      host_positive.push_back((3 * b) % graph.items());
      for (int64_t j = 0; j < kNegatives; ++j)
        host_negative.push_back((b + 5 * j + 1) % graph.items());
    }
    for (int64_t v = 0; v < (graph.nodes()) * kDim; ++v)
      host_vectors.push_back(float((v * 37) % 23) - 11.5f);
    const auto copy = [&](auto* to, const auto* from, int64_t count) {
      REC_CUDA_CHECK(
          cudaMemcpyAsync(to, from, size_t(count) * sizeof *from, cudaMemcpyHostToDevice, stream));
    };
    copy(user.data(), host_user.data(), kRows);
    copy(positive.data(), host_positive.data(), kRows);
    copy(negative.data(), host_negative.data(), kRows * kNegatives);
    copy(of_user.data(), host_vectors.data(), graph.users() * kDim);
    copy(of_item.data(), host_vectors.data() + graph.users() * kDim, graph.items() * kDim);
  }

  void run(Backend& backend, const Graph& graph) {
    Array<int32_t> its_user(backend, kRows), its_positive(backend, kRows);
    Matrix<int32_t> its_negative(backend, kRows, kNegatives);
    const auto take = [&](const int64_t* given, int64_t cols, int64_t count, int32_t* to) {
      backend.take_ids(MatrixView<const int64_t>(given, kRows, cols), count, {to, kRows, cols},
                       loss.data());
    };
    take(user.data(), 1, graph.users(), its_user.data());
    take(positive.data(), 1, graph.items(), its_positive.data());
    take(negative.data(), kNegatives, graph.items(), its_negative.data());
    batch_loss(backend, {Objective::infonce, 0.3f, Score::cosine}, of_user.view(), of_item.view(),
               {its_user.view(), its_positive.view(), its_negative.view()}, grad_user.view(),
               grad_item.view(), loss.data());
    mean_of_items(backend, graph, grad_item.view(), spread.view().rows_from(0, graph.users()));
    mean_of_items_adjoint(backend, graph, grad_user.view(),
                          spread.view().rows_from(graph.users(), graph.items()));
    Matrix<float> again(backend, graph.nodes(), kDim);
    propagate(backend, graph, 2, spread.view(), again.view());
    propagate(backend, graph, 0, again.view(), spread.view());
  }

  std::vector<double> outcome(Backend& backend) const {
    std::vector<double> all = loss.to_host(backend);
    for (const Matrix<float>* m : {&grad_user, &grad_item, &spread})
      for (float value : m->to_host(backend)) all.push_back(value);
    return all;
  }
};

}  // namespace

TEST_CASE("caller's stream: operations run in its order, and nothing waits for them", "[engine]") {
  if (!has_device()) return;
  const auto own = make_cuda_backend(0, Precision::fp32);
  const SmallData data = small_data(171);
  const Graph graph(*own, data.train.view());
  OnDevice plain(*own, graph), late(*own, graph);
  plain.fill(test_stream(), graph, 1);
  wait_for_device();
  plain.run(*own, graph);
  const std::vector<double> want = plain.outcome(*own);
  own->wait();

  // The stream still has the filling to do when the operations are put behind it.
  Stream stream = GENERATE(true, false) ? test_stream() : nullptr;
  late.fill(stream == nullptr ? cudaStreamLegacy : stream, graph, 1);
  {
    const auto borrowed = make_cuda_backend_on(0, stream);
    const int64_t before = waits();
    late.run(*borrowed, graph);
    CHECK(waits() == before);
  }
  CHECK(late.outcome(*own) != want);  // not done yet
  wait_for_device();
  CHECK(late.outcome(*own) == want);
}

TEST_CASE("caller's stream: memory goes back in its order, and all of it", "[engine]") {
  if (!has_device()) return;
  const auto own = make_cuda_backend(0, Precision::fp32);
  const SmallData data = small_data(172);
  const Graph graph(*own, data.train.view());
  OnDevice arrays(*own, graph);
  const auto in_use = [&] {
    wait_for_device();
    return *own->own_memory();
  };
  const int64_t before = in_use();
  for (int round = 0; round < 3; ++round) {
    arrays.fill(test_stream(), graph, 0);
    arrays.run(*make_cuda_backend_on(0, test_stream()), graph);
    CHECK(in_use() == before);
  }
}

TEST_CASE("caller's stream: an id that is out of range makes the loss NaN", "[engine]") {
  if (!has_device()) return;
  const auto own = make_cuda_backend(0, Precision::fp32);
  const SmallData data = small_data(173);
  const Graph graph(*own, data.train.view());
  OnDevice arrays(*own, graph);
  arrays.fill(test_stream(), graph, graph.users());
  arrays.run(*make_cuda_backend_on(0, test_stream()), graph);
  wait_for_device();
  CHECK(std::isnan(arrays.loss.to_host(*own)[0]));
}

TEST_CASE("caller's stream: the thread keeps its device", "[engine]") {
  if (!has_device()) return;
  const Variable two("REC_EMU_DEVICES", "2");
  REC_CUDA_CHECK(cudaSetDevice(1));
  int now = -1;
  {
    const auto borrowed = make_cuda_backend_on(0, test_stream());
    REC_CUDA_CHECK(cudaGetDevice(&now));
    CHECK(now == 0);
  }
  REC_CUDA_CHECK(cudaGetDevice(&now));
  CHECK(now == 1);
  REC_CUDA_CHECK(cudaSetDevice(0));
}

TEST_CASE("caller's stream: whose memory a pointer is", "[engine]") {
  if (!has_device()) return;
  const auto own = make_cuda_backend(0, Precision::fp32);
  const Array<float> there(*own, 3);
  const float here = 0;
  CHECK(gpu_of(there.data()) == std::optional<int>(0));
  CHECK(gpu_of(&here) == std::nullopt);
}

}  // namespace rec::test
