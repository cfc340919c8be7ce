// The emulator's own promises (README.md beside this): what it reports, in which orders it runs
// things, and what the device's variables take away.
#include <cuda_runtime_api.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <new>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/common/cuda_check.h"
#include "tests/emulator/fibres.h"
#include "tests/emulator/promises.h"
#include "tests/support/environment.h"
#include "tests/support/on_backends.h"
#include "tests/support/values.h"

namespace rec::test {
namespace {

using emulator::Order;

// A schedule for the length of a scope.
class Scheduled {
 public:
  explicit Scheduled(emulator::Schedule chosen) : before_(emulator::schedule()) {
    emulator::set_schedule(chosen);
  }
  ~Scheduled() { emulator::set_schedule(before_); }
  Scheduled(const Scheduled&) = delete;

 private:
  emulator::Schedule before_;
};
std::vector<emulator::Schedule> schedules() {
  return {{Order::forward, 0}, {Order::reverse, 0}, {Order::random, 1}, {Order::random, 2}};
}

class OwnStream {
 public:
  OwnStream() { REC_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~OwnStream() { cudaStreamDestroy(stream_); }
  OwnStream(const OwnStream&) = delete;
  operator Stream() const { return stream_; }
  void wait() const { REC_CUDA_CHECK(cudaStreamSynchronize(stream_)); }

 private:
  Stream stream_ = nullptr;
};

class OwnEvent {
 public:
  OwnEvent() { REC_CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~OwnEvent() { cudaEventDestroy(event_); }
  OwnEvent(const OwnEvent&) = delete;
  operator cudaEvent_t() const { return event_; }
  // Everything that `before` has by now comes before what is put into `after` from now on.
  void order(Stream before, Stream after) const {
    REC_CUDA_CHECK(cudaEventRecord(event_, before));
    REC_CUDA_CHECK(cudaStreamWaitEvent(after, event_, 0));
  }

 private:
  cudaEvent_t event_ = nullptr;
};

void begin_capture(Stream stream) {
  REC_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
}

// A log that kernels append to (promises.h), and what it says.
struct Log {
  Values<int32_t> cells;
  explicit Log(int32_t most) : cells(size_t(1 + most), 0) {}
  int32_t* data() { return cells.data(); }
  std::vector<int32_t> numbers() const { return {cells.begin() + 1, cells.begin() + 1 + cells[0]}; }
};

std::vector<int32_t> order_of_threads(int blocks, int threads) {
  Log log(blocks * threads);
  const OwnStream stream;
  log_threads(blocks, threads, log.data(), stream);
  stream.wait();
  return log.numbers();
}

// A graph of four nodes: 0, then 1 and 2 in any order, then 3.
cudaGraph_t captured_diamond(Stream stream, Stream beside, Log& log) {
  const OwnEvent fork, join;
  begin_capture(stream);
  log_number(0, log.data(), stream);
  fork.order(stream, beside);
  log_number(1, log.data(), stream);
  log_number(2, log.data(), beside);
  join.order(beside, stream);
  log_number(3, log.data(), stream);
  cudaGraph_t graph = nullptr;
  REC_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  return graph;
}

}  // namespace

TEST_CASE("emulator: what a kernel must not do is reported", "[emulator]") {
  struct Wrong {
    std::function<void(Stream)> kernel;
    std::string sentence;
  };
  const Wrong wrong[] = {
      {barriers_at_two_places, "divergent barrier"},
      {barrier_that_half_the_threads_miss, "deadlock"},
      {return_before_a_barrier, "returned"},
      {shuffle_from_outside_the_mask, "reads a lane that is not in the mask"},
      {lane_outside_its_own_mask, "not in its own mask"},
      {lanes_in_different_collectives, "divergent warp collective"},
      {mask_with_a_lane_that_returned, "returned"},
      {static_shared_memory_beyond_48_kib, "48 KiB of static shared memory"},
      {[](Stream stream) { dynamic_shared_memory(227 * 1024 + 1, stream); },
       "227 KiB of shared memory"},
      {async_copy_never_waited_for, "not waited for"},
  };
  for (const emulator::Schedule& schedule : schedules())
    for (const Wrong& one : wrong) {
      CAPTURE(int(schedule.order), schedule.seed, one.sentence);
      const Scheduled in(schedule);
      const OwnStream stream;
      one.kernel(stream);
      CHECK_THROWS_WITH(stream.wait(), Catch::Contains(one.sentence));
      // and what comes after runs as if nothing had been
      CHECK(order_of_threads(2, 33).size() == 66);
      dynamic_shared_memory(227 * 1024, stream);
      CHECK_NOTHROW(stream.wait());
    }
}

TEST_CASE("emulator: a report names the place and who waits where", "[emulator]") {
  const OwnStream stream;
  barrier_that_half_the_threads_miss(stream);
  std::string report;
  try {
    stream.wait();
  } catch (const emulator::Error& error) {
    report = error.what();
  }
  CHECK_THAT(report, Catch::Contains("block (0,0,0)"));
  CHECK_THAT(report,
             Catch::Contains("wait in __syncthreads at") && Catch::Contains("promises.cu:"));
  CHECK_THAT(report, Catch::Contains("wait in __syncwarp at"));
}

TEST_CASE("emulator: what nobody wrote is NaN or -1", "[emulator]") {
  const OwnStream stream;
  int32_t* unwritten = nullptr;
  REC_CUDA_CHECK(cudaMalloc(reinterpret_cast<void**>(&unwritten), sizeof *unwritten));
  Values<int32_t> shared = {7}, device = {7};
  // Shared memory of a block that wrote it is unwritten for the next.
  for (int run = 0; run < 2; ++run) {
    copy_unwritten(shared.data(), unwritten, device.data(), stream);
    stream.wait();
    CHECK(shared[0] == -1);
    CHECK(device[0] == -1);
  }
  REC_CUDA_CHECK(cudaFree(unwritten));
}

TEST_CASE("emulator: an asynchronous copy is there when it was waited for", "[emulator]") {
  const OwnStream stream;
  const Values<int32_t> from = {5};
  Values<int32_t> before = {7}, after = {7};
  async_copy(from.data(), before.data(), after.data(), stream);
  stream.wait();
  CHECK(before[0] == -1);
  CHECK(after[0] == 5);
}

TEST_CASE("emulator: threads and blocks run in the order asked for", "[emulator]") {
  const int blocks = 5, threads = 40;
  std::vector<int32_t> ascending(size_t(blocks * threads));
  std::iota(ascending.begin(), ascending.end(), 0);
  {
    const Scheduled in({Order::forward, 0});
    CHECK(order_of_threads(blocks, threads) == ascending);
  }
  {
    const Scheduled in({Order::reverse, 0});
    CHECK(order_of_threads(blocks, threads) ==
          std::vector<int32_t>(ascending.rbegin(), ascending.rend()));
  }
  std::set<std::vector<int32_t>> different = {ascending};
  for (uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const Scheduled in({Order::random, seed});
    const std::vector<int32_t> first = order_of_threads(blocks, threads);
    CHECK(different.insert(first).second);
    CHECK(std::is_permutation(first.begin(), first.end(), ascending.begin(), ascending.end()));
    CHECK(order_of_threads(blocks, threads) != first);  // a launch is not like the one before
    emulator::set_schedule({Order::random, seed});
    CHECK(order_of_threads(blocks, threads) == first);
  }
}

TEST_CASE("emulator: an order that is none is refused by name", "[emulator]") {
  for (const char* order : {"", "backward", "random", "random:", "random:x", "random:1x"}) {
    CAPTURE(order);
    CHECK_THROWS_WITH(emulator::schedule_of(order), Catch::Contains("REC_EMU_ORDER"));
  }
  CHECK(emulator::schedule_of("random:12").seed == 12);
  CHECK(emulator::schedule_of("reverse").order == Order::reverse);
}

TEST_CASE("emulator: a stream's work runs when it is waited for", "[emulator]") {
  const OwnStream stream;
  const Values<int32_t> from = {1};
  Values<int32_t> to = {0};
  add_one(from.data(), to.data(), stream);
  CHECK(to[0] == 0);  // a missing wait shows
  stream.wait();
  CHECK(to[0] == 2);

  add_one(to.data(), to.data(), stream);
  int32_t copy = 0;
  REC_CUDA_CHECK(cudaMemcpyAsync(&copy, to.data(), sizeof copy, cudaMemcpyDefault, stream));
  REC_CUDA_CHECK(cudaMemsetAsync(to.data(), 0, sizeof copy, stream));
  CHECK(copy == 0);
  wait_for_device();
  CHECK(copy == 3);
  CHECK(to[0] == 0);
}

TEST_CASE("emulator: streams run in the order asked for", "[emulator]") {
  const OwnStream first, second;
  Log log(4);
  for (emulator::Schedule schedule : schedules()) {
    const Scheduled in(schedule);
    log.cells[0] = 0;
    for (int32_t n : {0, 1}) log_number(n, log.data(), first);
    for (int32_t n : {10, 11}) log_number(n, log.data(), second);
    wait_for_device();
    std::vector<int32_t> numbers = log.numbers();
    if (schedule.order == Order::forward) CHECK(numbers == std::vector<int32_t>{0, 1, 10, 11});
    if (schedule.order == Order::reverse) CHECK(numbers == std::vector<int32_t>{10, 11, 0, 1});
    // In any order, a stream keeps its own.
    std::stable_sort(numbers.begin(), numbers.end(),
                     [](int32_t a, int32_t b) { return a / 10 < b / 10; });
    CHECK(numbers == std::vector<int32_t>{0, 1, 10, 11});
  }
}

TEST_CASE("emulator: events order two streams", "[emulator]") {
  const Values<int32_t> from = {1};
  for (const bool ordered : {false, true}) {
    CAPTURE(ordered);
    const OwnStream producer, consumer;
    const OwnEvent event;
    Values<int32_t> between = {100}, to = {0};
    add_one(from.data(), between.data(), producer);
    if (ordered) event.order(producer, consumer);
    add_one(between.data(), between.data(), producer);  // after the event: not waited for
    add_one(between.data(), to.data(), consumer);
    consumer.wait();
    CHECK(to[0] == (ordered ? 3 : 101));
    producer.wait();
    CHECK(between[0] == 3);
  }
  // An event outlives its stream; one that was never recorded holds nothing up.
  const OwnEvent event, never;
  Values<int32_t> to = {0};
  const OwnStream consumer;
  {
    const OwnStream producer;
    add_one(from.data(), to.data(), producer);
    event.order(producer, consumer);
  }
  CHECK(to[0] == 2);  // destroying a stream waits
  REC_CUDA_CHECK(cudaStreamWaitEvent(consumer, never, 0));
  add_one(to.data(), to.data(), consumer);
  REC_CUDA_CHECK(cudaEventSynchronize(event));
  consumer.wait();
  CHECK(to[0] == 3);
}

TEST_CASE("emulator: graphs replay, in every order that their edges allow", "[emulator]") {
  std::set<std::vector<int32_t>> seen;
  for (emulator::Schedule schedule : schedules()) {
    const Scheduled in(schedule);
    const OwnStream stream, beside;
    Log log(8 * 4);
    const cudaGraph_t graph = captured_diamond(stream, beside, log);
    CHECK(log.cells[0] == 0);  // capturing runs nothing
    cudaGraphExec_t executable = nullptr;
    REC_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    REC_CUDA_CHECK(cudaGraphDestroy(graph));
    for (int replay = 0; replay < 8; ++replay) REC_CUDA_CHECK(cudaGraphLaunch(executable, stream));
    REC_CUDA_CHECK(cudaGraphExecDestroy(executable));  // what was launched still runs
    CHECK(log.cells[0] == 0);
    stream.wait();
    const std::vector<int32_t> numbers = log.numbers();
    REQUIRE(numbers.size() == 8 * 4);
    for (size_t replay = 0; replay < 8; ++replay) {
      const std::vector<int32_t> one(numbers.begin() + long(4 * replay),
                                     numbers.begin() + long(4 * replay) + 4);
      if (schedule.order == Order::forward) CHECK(one == std::vector<int32_t>{0, 1, 2, 3});
      if (schedule.order == Order::reverse) CHECK(one == std::vector<int32_t>{0, 2, 1, 3});
      seen.insert(one);
    }
  }
  CHECK(seen == std::set<std::vector<int32_t>>{{0, 1, 2, 3}, {0, 2, 1, 3}});
}

TEST_CASE("emulator: captures that CUDA refuses are refused", "[emulator]") {
  const OwnStream stream, beside;
  const OwnEvent event;
  Log log(4);
  Values<int32_t> memory = {0};
  cudaGraph_t graph = nullptr;
  SECTION("work of another stream that nothing waits for") {
    begin_capture(stream);
    log_number(0, log.data(), stream);
    event.order(stream, beside);
    log_number(1, log.data(), beside);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureUnjoined);
    // What the capture left behind is not part of later ones.
    CHECK(cudaStreamWaitEvent(stream, event, 0) == cudaErrorCapturedEvent);
  }
  SECTION("taking and giving back memory") {
    begin_capture(stream);
    void* p = nullptr;
    CHECK(cudaMalloc(&p, 4) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaFree(memory.data()) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  }
  SECTION("waiting for a stream or for the device") {
    begin_capture(stream);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    begin_capture(stream);
    CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  }
  SECTION("waiting for an event that was not captured") {
    REC_CUDA_CHECK(cudaEventRecord(event, beside));
    begin_capture(stream);
    CHECK(cudaStreamWaitEvent(stream, event, 0) == cudaErrorStreamCaptureIsolation);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  }
  SECTION("waiting for a captured event") {
    begin_capture(stream);
    REC_CUDA_CHECK(cudaEventRecord(event, stream));
    CHECK(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
    REC_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    REC_CUDA_CHECK(cudaGraphDestroy(graph));
  }
  SECTION("an end without a beginning") {
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
    begin_capture(stream);
    log_number(0, log.data(), stream);
    event.order(stream, beside);
    CHECK(cudaStreamEndCapture(beside, &graph) == cudaErrorStreamCaptureUnmatched);
    // A stream that joined and did nothing leaves nothing to be waited for.
    REC_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    REC_CUDA_CHECK(cudaGraphDestroy(graph));
  }
  cudaGetLastError();
  CHECK_NOTHROW(wait_for_device());
  CHECK(log.cells[0] == 0);
}

TEST_CASE("emulator: nothing runs after a kernel that went wrong", "[emulator]") {
  const OwnStream stream, other;
  Log log(4);
  SECTION("and the wait throws") {
    barriers_at_two_places(stream);
    log_number(0, log.data(), stream);
    log_number(1, log.data(), other);
    CHECK_THROWS_AS(stream.wait(), emulator::Error);
    CHECK_NOTHROW(wait_for_device());
    CHECK(log.numbers().empty());
  }
  SECTION("also when memory is given back first: the next wait throws") {
    barriers_at_two_places(stream);
    log_number(0, log.data(), stream);
    CHECK_NOTHROW(Values<int32_t>(3));
    CHECK_THROWS_AS(wait_for_device(), emulator::Error);
    CHECK_NOTHROW(wait_for_device());
    CHECK(log.numbers().empty());
  }
}

TEST_CASE("emulator: giving back memory waits for the work that uses it", "[emulator]") {
  const OwnStream stream;
  Values<int32_t> to = {0};
  {
    const Values<int32_t> from = {1};
    add_one(from.data(), to.data(), stream);
  }
  CHECK(to[0] == 2);
}

TEST_CASE("emulator: the environment takes the device away", "[emulator]") {
  void* p = nullptr;
  SECTION("all of it") {
    const Variable none("REC_EMU_DEVICES", "0");
    int count = 7;
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
    CHECK(count == 0);
    CHECK(cudaSetDevice(0) == cudaErrorInvalidDevice);
    CHECK(cudaMalloc(&p, 4) != cudaSuccess);
    cudaStream_t stream = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, 0) != cudaSuccess);
  }
  SECTION("or its memory") {
    size_t free = 0, total = 0;
    REC_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    const std::string bytes = std::to_string(total - free + 1000);
    const Variable less("REC_EMU_MEMORY", bytes.c_str());
    REC_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    CHECK(free == 1000);
    CHECK_THROWS_AS(REC_CUDA_CHECK(cudaMalloc(&p, 1001)), std::bad_alloc);
    REC_CUDA_CHECK(cudaMalloc(&p, 600));
    void* more = nullptr;
    CHECK(cudaMalloc(&more, 600) == cudaErrorMemoryAllocation);
    REC_CUDA_CHECK(cudaFree(p));
    REC_CUDA_CHECK(cudaMalloc(&p, 1000));
    REC_CUDA_CHECK(cudaFree(p));
  }
  SECTION("or one call") {
    const Variable fail("REC_EMU_FAIL", "cudaMalloc:2");
    REC_CUDA_CHECK(cudaMalloc(&p, 4));
    void* second = nullptr;
    CHECK(cudaMalloc(&second, 4) == cudaErrorDevicesUnavailable);
    REC_CUDA_CHECK(cudaMalloc(&second, 4));
    REC_CUDA_CHECK(cudaFree(p));
    REC_CUDA_CHECK(cudaFree(second));
  }
  SECTION("or one launch") {
    const OwnStream stream;
    Log log(4);
    const Variable fail("REC_EMU_FAIL", "launch:2");
    log_number(0, log.data(), stream);
    CHECK_THROWS_AS(log_number(1, log.data(), stream), CudaError);
    log_number(2, log.data(), stream);
    stream.wait();
    CHECK(log.numbers() == std::vector<int32_t>{0, 2});
  }
  cudaGetLastError();
}

}  // namespace rec::test
