#include "tests/emulator/device_runtime.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/common/cuda_check.h"
#include "tests/emulator/fibres.h"

namespace {

using rec::emulator::choose;
using Work = std::function<void()>;

// One piece of work of a graph, and the pieces that must be done before it.
struct Node {
  Work work;
  std::vector<size_t> after;
};

// What a stream still has to do. Outlives it where events or waits still name it.
struct Queue {
  std::deque<Work> work;
  uint64_t put = 0, done = 0;  // pieces of work ever put in, and run or dropped
};

}  // namespace

struct CUgraph_st {
  std::vector<Node> nodes;
  bool ended = false;    // the capture that made it is over
  bool invalid = false;  // a call that a capture forbids was made
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Node>> nodes;
};

struct CUstream_st {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  std::shared_ptr<CUgraph_st> captured;
  bool began_capture = false;
  std::vector<size_t> last;  // of the captured graph: what the next node comes after
};

struct CUmemPoolHandle_st {};  // all pools take of the device's memory

// A place in a stream, or in a captured graph.
struct CUevent_st {
  std::shared_ptr<Queue> queue;
  uint64_t place = 0;  // reached when the queue has done so many pieces
  std::shared_ptr<CUgraph_st> captured;
  std::vector<size_t> last;
};

namespace {

// Everything the device holds. Made at first use and never destroyed, so that owners with static
// storage may still free what they have.
struct Device {
  std::map<uintptr_t, size_t> memory;  // first byte, bytes
  size_t used = 0, most_used = 0;
  std::vector<CUstream_st*> streams;     // in the order in which they were made
  std::exception_ptr lost;               // what work threw that ran where nothing may be thrown
  std::map<std::string, int64_t> calls;  // made so far
  int64_t choices_of_graphs = 0;
  std::map<std::string, long> calls_until_failure;
  std::string failure_text;
  int chosen = 0;
  cudaError_t last_error = cudaSuccess;
};
Device& device() {
  static Device& one = [&]() -> Device& {
    std::atexit([] {  // an error that no wait has thrown
      if (!device().lost) return;
      std::fputs("a kernel went wrong, and nothing waited for it\n", stderr);
      std::_Exit(1);
    });
    return *new Device;
  }();
  return one;
}

constexpr size_t kAlignment = 256;  // what cudaMalloc promises

size_t memory_size() {
  const char* const bytes = std::getenv("REC_EMU_MEMORY");
  return bytes == nullptr ? size_t{1} << 30 : std::strtoull(bytes, nullptr, 10);
}
int device_count() {
  const char* const count = std::getenv("REC_EMU_DEVICES");
  return count == nullptr ? 1 : std::atoi(count);
}

// Counts the call. True when REC_EMU_FAIL says that this one fails.
bool fails(const char* call) {
  ++device().calls[call];
  const char* const text = std::getenv("REC_EMU_FAIL");
  const std::string now = text == nullptr ? "" : text;
  Device& d = device();
  if (now != d.failure_text) {  // counts from where it is set
    d.failure_text = now;
    d.calls_until_failure.clear();
    const size_t colon = now.find(':');
    if (colon != std::string::npos)
      d.calls_until_failure[now.substr(0, colon)] = std::atol(now.c_str() + colon + 1);
  }
  const auto found = d.calls_until_failure.find(call);
  if (found == d.calls_until_failure.end() || found->second <= 0) return false;
  return --found->second == 0;
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) device().last_error = error;
  return error;
}

void run_one(Queue& queue) {
  const Work work = std::move(queue.work.front());
  queue.work.pop_front();
  ++queue.done;
  try {
    work();
  } catch (...) {
    // As on a GPU nothing runs after a kernel that went wrong: it would use memory that whoever
    // catches this has given back.
    for (const CUstream_st* stream : device().streams) {
      stream->queue->work.clear();
      stream->queue->done = stream->queue->put;
    }
    throw;
  }
}
void run_until(Queue& queue, uint64_t place) {
  while (queue.done < place) run_one(queue);
}

// Runs what every stream has, in an order of the schedule's.
void run_everything() {
  for (;;) {
    std::vector<std::shared_ptr<Queue>> waiting;
    for (const CUstream_st* stream : device().streams)
      if (!stream->queue->work.empty()) waiting.push_back(stream->queue);
    if (waiting.empty()) return;
    run_one(*waiting[choose(waiting.size())]);
  }
}

// For calls that wait as a side effect and are made by destructors: what the work throws is thrown
// by the next call whose purpose is to wait.
template <class Run>
void run_and_keep_error(Run run) {
  try {
    run();
  } catch (...) {
    if (!device().lost) device().lost = std::current_exception();
  }
}
template <class Run>
void run_and_throw(Run run) {
  if (device().lost) std::rethrow_exception(std::exchange(device().lost, nullptr));
  run();
}

// The stream that a handle stands for: cudaStreamLegacy is one that nobody makes.
CUstream_st* stream_of(cudaStream_t handle) {
  if (handle != cudaStreamLegacy) return handle;
  static CUstream_st& legacy = [&]() -> CUstream_st& {
    auto* const stream = new CUstream_st;
    device().streams.push_back(stream);
    return *stream;
  }();
  return &legacy;
}

void put(cudaStream_t handle, Work work) {
  CUstream_st* const stream = stream_of(handle);
  if (stream->captured) {
    stream->captured->nodes.push_back({std::move(work), stream->last});
    stream->last = {stream->captured->nodes.size() - 1};
    return;
  }
  stream->queue->work.push_back(std::move(work));
  ++stream->queue->put;
}

// Runs the nodes in an order of the schedule's that the edges allow.
void run_graph(const std::vector<Node>& nodes) {
  std::vector<char> done(nodes.size(), 0);
  for (size_t round = 0; round < nodes.size(); ++round) {
    std::vector<size_t> possible;
    for (size_t n = 0; n < nodes.size(); ++n)
      if (!done[n] && std::all_of(nodes[n].after.begin(), nodes[n].after.end(),
                                  [&](size_t before) { return done[before]; }))
        possible.push_back(n);
    if (possible.size() > 1) ++device().choices_of_graphs;
    const size_t next = possible[choose(possible.size())];
    nodes[next].work();
    done[next] = 1;
  }
}

bool capturing() {
  const auto& streams = device().streams;
  return std::any_of(streams.begin(), streams.end(),
                     [](const CUstream_st* stream) { return stream->captured != nullptr; });
}

// For calls that a capture forbids: refuses them, and what is captured with them.
bool refused_by_capture() {
  for (CUstream_st* stream : device().streams)
    if (stream->captured) stream->captured->invalid = true;
  return capturing();
}

cudaError_t allocate(const char* call, void** p, size_t bytes) {
  Device& d = device();
  if (refused_by_capture()) return cudaErrorStreamCaptureUnsupported;
  if (fails(call) || device_count() == 0) return cudaErrorDevicesUnavailable;
  if (bytes > memory_size() - std::min(memory_size(), d.used)) return cudaErrorMemoryAllocation;
  if (bytes == 0) {
    *p = nullptr;
    return cudaSuccess;
  }
  *p = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (*p == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*p, 0xFF, bytes);  // what is read before it is written is NaN, or -1
  d.memory[reinterpret_cast<uintptr_t>(*p)] = bytes;
  d.used += bytes;
  d.most_used = std::max(d.most_used, d.used);
  return cudaSuccess;
}

// False where it is no memory of the device's.
bool give_back(void* p) {
  Device& d = device();
  const auto found = d.memory.find(reinterpret_cast<uintptr_t>(p));
  if (found == d.memory.end()) return false;
  d.used -= found->second;
  d.memory.erase(found);
  ::operator delete (p, std::align_val_t{kAlignment});
  return true;
}

}  // namespace

namespace rec::emulator {

void enqueue(Stream stream, std::function<void()> work) {
  if (stream == nullptr) throw Error("work for no stream: kernels take the stream they are given");
  if (fails("launch")) {
    device().last_error = cudaErrorDevicesUnavailable;
    throw CudaError(cudaErrorDevicesUnavailable,
                    "launch: the device is lost (REC_EMU_FAIL); start again from the checkpoint");
  }
  put(stream, std::move(work));
}

int64_t calls_made(const std::string& call) { return device().calls[call]; }

int64_t choices_of_graphs() { return device().choices_of_graphs; }

size_t take_peak_memory() { return std::exchange(device().most_used, device().used); }

bool is_device_memory(const void* p) {
  const auto& memory = device().memory;
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto after = memory.upper_bound(address);
  if (after == memory.begin()) return false;
  --after;
  return address - after->first < after->second;
}

}  // namespace rec::emulator

// ---- the twins, in the order of their names ----

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 2; return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(rec::emulator::kMostShared);
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; return cudaSuccess;
    default: return result(cudaErrorInvalidValue);
  }
}

cudaError_t cudaDeviceSynchronize() {
  if (fails("cudaDeviceSynchronize")) return result(cudaErrorDevicesUnavailable);
  if (refused_by_capture()) return result(cudaErrorStreamCaptureUnsupported);
  run_and_throw(run_everything);
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  const CUstream_st* const stream = stream_of(handle);
  event->queue = stream->queue;
  event->place = stream->queue->put;
  event->captured = stream->captured;
  event->last = stream->last;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (fails("cudaEventSynchronize")) return result(cudaErrorDevicesUnavailable);
  if (event->captured) return result(cudaErrorCapturedEvent);
  if (event->queue) run_and_throw([&] { run_until(*event->queue, event->place); });
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  if (p == nullptr) return cudaSuccess;
  Device& d = device();
  ++d.calls["cudaFree"];
  if (refused_by_capture()) return result(cudaErrorStreamCaptureUnsupported);
  run_and_keep_error(run_everything);
  return give_back(p) ? cudaSuccess : result(cudaErrorInvalidValue);
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  if (!rec::emulator::is_device_memory(p)) return result(cudaErrorInvalidValue);
  put(stream, [p] { give_back(p); });
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* number) {
  *number = device().chosen;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (fails("cudaGetDeviceCount")) return result(cudaErrorInsufficientDriver);
  *count = device_count();
  return *count > 0 ? cudaSuccess : result(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (number < 0 || number >= device_count()) return result(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated device");
  properties->totalGlobalMem = memory_size();
  properties->multiProcessorCount = 2;
  properties->major = 9;
  properties->sharedMemPerBlockOptin = rec::emulator::kMostShared;
  properties->l2CacheSize = 1 << 20;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureUnjoined: return "cudaErrorStreamCaptureUnjoined";
    case cudaErrorStreamCaptureIsolation: return "cudaErrorStreamCaptureIsolation";
    default: return "cudaError";
  }
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() { return std::exchange(device().last_error, cudaSuccess); }

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (fails("cudaGraphInstantiate")) return result(cudaErrorDevicesUnavailable);
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  if (fails("cudaGraphLaunch")) return result(cudaErrorDevicesUnavailable);
  put(stream, [nodes = graph->nodes] { run_graph(*nodes); });
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** p, size_t bytes) { return result(allocate("cudaMalloc", p, bytes)); }

cudaError_t cudaMallocManaged(void** p, size_t bytes, unsigned) {
  return result(allocate("cudaMallocManaged", p, bytes));
}

cudaError_t cudaMallocFromPoolAsync(void** p, size_t bytes, cudaMemPool_t, cudaStream_t) {
  return result(allocate("cudaMallocFromPoolAsync", p, bytes));
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = memory_size();
  *free = *total - std::min(*total, device().used);
  return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
  *pool = new CUmemPoolHandle_st;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (kind == cudaMemcpyDeviceToHost) ++device().calls["cudaMemcpyDeviceToHost"];
  if (fails("cudaMemcpyAsync")) return result(cudaErrorDevicesUnavailable);
  put(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (fails("cudaMemsetAsync")) return result(cudaErrorDevicesUnavailable);
  put(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  *attributes = {};
  attributes->type =
      rec::emulator::is_device_memory(p) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  if (number < 0 || number >= device_count()) return result(cudaErrorInvalidDevice);
  device().chosen = number;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->captured) return result(cudaErrorIllegalState);
  stream->captured = std::make_shared<CUgraph_st>();
  stream->began_capture = true;
  stream->last.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (fails("cudaStreamCreateWithFlags") || device_count() == 0)
    return result(cudaErrorDevicesUnavailable);
  *stream = new CUstream_st;
  device().streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  run_and_keep_error([&] { run_until(*stream->queue, stream->queue->put); });
  std::erase(device().streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream->captured) return result(cudaErrorIllegalState);
  if (!stream->began_capture) return result(cudaErrorStreamCaptureUnmatched);
  const std::shared_ptr<CUgraph_st> captured = stream->captured;
  const std::vector<size_t> last = stream->last;
  for (CUstream_st* other : device().streams) {
    if (other->captured != captured) continue;
    other->captured = nullptr;
    other->began_capture = false;
    other->last.clear();
  }
  captured->ended = true;
  if (captured->invalid) return result(cudaErrorStreamCaptureInvalidated);
  // What other streams did must have been waited for: whatever nothing follows is this stream's.
  std::vector<char> followed(captured->nodes.size(), 0);
  for (const Node& node : captured->nodes)
    for (size_t before : node.after) followed[before] = 1;
  for (size_t node : last) followed[node] = 1;
  if (std::count(followed.begin(), followed.end(), 0) > 0)
    return result(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st(*captured);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  CUstream_st* const stream = stream_of(handle);
  if (fails("cudaStreamSynchronize")) return result(cudaErrorDevicesUnavailable);
  if (stream->captured) {
    stream->captured->invalid = true;
    return result(cudaErrorStreamCaptureUnsupported);
  }
  run_and_throw([&] { run_until(*stream->queue, stream->queue->put); });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->captured) {
    if (event->captured->ended) return result(cudaErrorCapturedEvent);
    if (!stream->captured) stream->captured = event->captured;  // joins the capture
    if (stream->captured != event->captured) return result(cudaErrorStreamCaptureMerge);
    for (size_t last : event->last)
      if (std::count(stream->last.begin(), stream->last.end(), last) == 0)
        stream->last.push_back(last);
    return cudaSuccess;
  }
  if (!event->queue) return cudaSuccess;
  if (stream->captured) {  // a graph cannot wait for what is outside it
    stream->captured->invalid = true;
    return result(cudaErrorStreamCaptureIsolation);
  }
  put(stream, [queue = event->queue, place = event->place] { run_until(*queue, place); });
  return cudaSuccess;
}
