#include "bench/place.h"

#include <chrono>
#include <new>

#if defined(REC_CUDA)
#include <cuda_runtime_api.h>

#include "kernels/common/cuda_check.h"

namespace rec::bench {
namespace {

// More than the L2 of any GPU so far holds; an emulated one has none.
VectorView<std::byte> flush_buffer() {
  constexpr int64_t bytes = kEmulatedGpu ? 1 << 10 : 512 << 20;
  static const std::shared_ptr<void> memory = gpu_memory(size_t(bytes));
  return {static_cast<std::byte*>(memory.get()), bytes};
}

struct Event {
  Event() { REC_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDefault)); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t event = nullptr;
};

}  // namespace

Stream bench_stream() {
  static const Stream one = [] {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return Stream{nullptr};
    Stream stream = nullptr;
    REC_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
  }();
  return one;
}

std::shared_ptr<void> gpu_memory(size_t bytes) {
  void* memory = nullptr;
  REC_CUDA_CHECK(cudaMalloc(&memory, bytes > 0 ? bytes : 1));
  return {memory, [](void* p) { cudaFree(p); }};
}

void upload_to_gpu(void* to, const void* from_host, size_t bytes) {
  if (bytes == 0) return;
  REC_CUDA_CHECK(cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, bench_stream()));
  REC_CUDA_CHECK(cudaStreamSynchronize(bench_stream()));
}

double gpu_milliseconds(const std::function<void(Stream)>& enqueue, bool flush) {
  const Stream stream = bench_stream();
  if (flush) {
    const VectorView<std::byte> buffer = flush_buffer();
    REC_CUDA_CHECK(cudaMemsetAsync(buffer.data, 0, size_t(buffer.size), stream));
  }
  if constexpr (kEmulatedGpu) {  // its events keep no time
    REC_CUDA_CHECK(cudaStreamSynchronize(stream));
    const auto start = std::chrono::steady_clock::now();
    enqueue(stream);
    REC_CUDA_CHECK(cudaStreamSynchronize(stream));
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  } else {
    static const Event start, end;
    REC_CUDA_CHECK(cudaEventRecord(start.event, stream));
    enqueue(stream);
    REC_CUDA_CHECK(cudaEventRecord(end.event, stream));
    REC_CUDA_CHECK(cudaEventSynchronize(end.event));
    float milliseconds = 0;
    REC_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start.event, end.event));
    return double(milliseconds);
  }
}

}  // namespace rec::bench
#else
namespace rec::bench {

Stream bench_stream() { return nullptr; }
std::shared_ptr<void> gpu_memory(size_t) { throw std::bad_alloc(); }
void upload_to_gpu(void*, const void*, size_t) {}

double gpu_milliseconds(const std::function<void(Stream)>&, bool) { return 0; }

}  // namespace rec::bench
#endif

namespace rec::bench {

void* Place::copied(const void* from_host, size_t bytes) {
  memory_.push_back(gpu_memory(bytes));
  upload_to_gpu(memory_.back().get(), from_host, bytes);
  return memory_.back().get();
}

VectorView<std::byte> Place::scratch(int64_t bytes) {
  if (is_gpu())
    memory_.push_back(gpu_memory(size_t(bytes)));
  else
    memory_.push_back({::operator new(size_t(bytes)), [](void* p) { ::operator delete(p); }});
  return {static_cast<std::byte*>(memory_.back().get()), bytes};
}

CsrView Place::put(const CsrView& csr) {
  return {csr.rows, csr.cols, taken(csr.row_start, csr.rows + 1),
          taken(csr.col, csr.row_start[csr.rows])};
}

GraphView Place::put(const GraphView& graph) {
  return {put(graph.items_of_user), put(graph.users_of_item), put(graph.user_scale),
          put(graph.item_scale)};
}

BatchGradientView Place::put(const BatchGradientView& grad) {
  BatchGradientView there;
  there.score = put(grad.score);
  there.user_row = put(grad.user_row);
  there.row_loss = put(grad.row_loss);
  return there;
}

LanguageView Place::put(const LanguageView& z) {
  return {put(z.item), put(z.heavy), put(z.heavy_user), put(z.light_user),
          put(z.light_users_of_item)};
}

SamplerTables Place::put(const SamplerTables& tables) {
  SamplerTables there;
  there.items_of_user = put(tables.items_of_user);
  there.active_user = put(tables.active_user);
  there.rule = tables.rule;
  there.domain_start = put(tables.domain_start);
  there.weights.before_item = put(tables.weights.before_item);
  there.weights.outside_before_edge = put(tables.weights.outside_before_edge);
  there.block = put(tables.block);
  return there;
}

BatchView Place::put(const BatchView& batch) {
  BatchView there;
  there.user = put(batch.user);
  there.positive = put(batch.positive);
  there.negative = put(batch.negative);
  there.user_start = put(batch.user_start);
  there.user_row = put(batch.user_row);
  there.item_start = put(batch.item_start);
  there.item_use = put(batch.item_use);
  return there;
}

}  // namespace rec::bench
