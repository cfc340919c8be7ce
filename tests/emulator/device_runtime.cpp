#include "tests/emulator/device_runtime.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <set>
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

}  // namespace

struct CUgraph_st {
  std::vector<Node> nodes;
};

struct CUgraphExec_st {
  std::vector<Node> nodes;
};

struct CUstream_st {
  std::deque<Work> queue;
  uint64_t put = 0, done = 0;  // pieces of work ever put in, and run
  std::shared_ptr<CUgraph_st> captured;
  bool began_capture = false;
  std::vector<size_t> last;  // of the captured graph: what the next node comes after
};

// A place in a stream, or in a captured graph.
struct CUevent_st {
  CUstream_st* stream = nullptr;
  uint64_t place = 0;  // reached when the stream has done so many pieces
  std::shared_ptr<CUgraph_st> captured;
  std::vector<size_t> last;
};

namespace {

// Everything the device holds. Made at first use and never destroyed, so that owners with static
// storage may still free what they have.
struct Device {
  std::map<uintptr_t, size_t> memory;  // first byte, bytes
  size_t used = 0;
  std::set<CUstream_st*> streams;
  std::map<std::string, long> calls_until_failure;
  std::string failure_text;
  int chosen = 0;
  cudaError_t last_error = cudaSuccess;
};
Device& device() {
  static Device& one = *new Device;
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

// True when REC_EMU_FAIL says that this call fails.
bool fails(const char* call) {
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

void run_until(CUstream_st* stream, uint64_t place) {
  while (stream->done < place) {
    const Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    ++stream->done;
    work();
  }
}
void run_all(CUstream_st* stream) { run_until(stream, stream->put); }
void run_everything() {
  for (CUstream_st* stream : device().streams) run_all(stream);
}

void put(CUstream_st* stream, Work work) {
  if (stream->captured) {
    stream->captured->nodes.push_back({std::move(work), stream->last});
    stream->last = {stream->captured->nodes.size() - 1};
    return;
  }
  stream->queue.push_back(std::move(work));
  ++stream->put;
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

cudaError_t allocate(const char* call, void** p, size_t bytes) {
  Device& d = device();
  if (capturing()) return cudaErrorStreamCaptureUnsupported;
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
  return cudaSuccess;
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
  if (capturing()) return result(cudaErrorStreamCaptureUnsupported);
  run_everything();
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

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  event->captured = stream->captured;
  event->last = stream->last;
  event->place = stream->put;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->captured) return result(cudaErrorCapturedEvent);
  if (event->stream != nullptr) run_until(event->stream, event->place);
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  if (p == nullptr) return cudaSuccess;
  Device& d = device();
  if (!capturing()) run_everything();
  const auto found = d.memory.find(reinterpret_cast<uintptr_t>(p));
  if (found == d.memory.end()) return result(cudaErrorInvalidValue);
  d.used -= found->second;
  d.memory.erase(found);
  ::operator delete (p, std::align_val_t{kAlignment});
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
  if (!capturing()) run_everything();
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (fails("cudaGraphInstantiate")) return result(cudaErrorDevicesUnavailable);
  *executable = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  if (fails("cudaGraphLaunch")) return result(cudaErrorDevicesUnavailable);
  put(stream, [graph] { run_graph(graph->nodes); });
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** p, size_t bytes) { return result(allocate("cudaMalloc", p, bytes)); }

cudaError_t cudaMallocManaged(void** p, size_t bytes, unsigned) {
  return result(allocate("cudaMallocManaged", p, bytes));
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = memory_size();
  *free = *total - std::min(*total, device().used);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  if (fails("cudaMemcpyAsync")) return result(cudaErrorDevicesUnavailable);
  put(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (fails("cudaMemsetAsync")) return result(cudaErrorDevicesUnavailable);
  put(stream, [=] { std::memset(to, value, bytes); });
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
  device().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!stream->captured) run_all(stream);
  device().streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->captured || !stream->began_capture) return result(cudaErrorIllegalState);
  const std::shared_ptr<CUgraph_st> captured = stream->captured;
  // Streams that joined must have been waited for: each one's last work is what something follows.
  bool joined = true;
  for (CUstream_st* other : device().streams) {
    if (other->captured != captured) continue;
    if (other != stream)
      for (size_t last : other->last)
        joined = joined &&
                 std::any_of(captured->nodes.begin(), captured->nodes.end(), [&](const Node& node) {
                   return std::count(node.after.begin(), node.after.end(), last) > 0;
                 });
    other->captured = nullptr;
    other->began_capture = false;
    other->last.clear();
  }
  *graph = nullptr;
  if (!joined) return result(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st(*captured);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (fails("cudaStreamSynchronize")) return result(cudaErrorDevicesUnavailable);
  if (stream->captured) return result(cudaErrorStreamCaptureUnsupported);
  run_all(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->captured) {
    if (!stream->captured) stream->captured = event->captured;  // joins the capture
    for (size_t last : event->last)
      if (std::count(stream->last.begin(), stream->last.end(), last) == 0)
        stream->last.push_back(last);
    return cudaSuccess;
  }
  if (event->stream == nullptr) return cudaSuccess;
  CUstream_st* const other = event->stream;
  const uint64_t place = event->place;
  put(stream, [=] { run_until(other, place); });
  return cudaSuccess;
}
