#include "engine/backend_cuda.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "kernels/bpr/bpr.h"
#include "kernels/common/cuda_check.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/common/nvtx_range.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "kernels/info_nce/info_nce.h"
#include "kernels/normalisation/normalisation.h"
#include "kernels/propagation/propagation.h"
#include "kernels/softmax/softmax.h"

namespace rec {
namespace {

constexpr int64_t kMostRankingBytes = int64_t{256} << 20;  // beyond, lists are done in turns
constexpr int kLeastMajor = 8;  // compute capability 8.0: what the kernels are compiled for

std::string version_text(int version) {  // 13000
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Frees what the device still has; a device that is lost has nothing to free.
template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};
using OwnedStream = std::unique_ptr<CUstream_st, Destroy<cudaStreamDestroy>>;
using OwnedEvent = std::unique_ptr<CUevent_st, Destroy<cudaEventDestroy>>;
using OwnedGraph = std::unique_ptr<CUgraph_st, Destroy<cudaGraphDestroy>>;
using RecordedStep = std::unique_ptr<CUgraphExec_st, Destroy<cudaGraphExecDestroy>>;

using SharedMemory = std::shared_ptr<void>;

OwnedStream make_stream() {
  cudaStream_t stream = nullptr;
  REC_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return OwnedStream(stream);
}

OwnedEvent make_event() {
  cudaEvent_t event = nullptr;
  REC_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return OwnedEvent(event);
}

// The device's memory that is taken and given back in a stream's order. What is given back is kept
// for those who ask next; never destroyed, as the driver may be gone before.
cudaMemPool_t pool_of(int device) {
  static std::mutex making;
  static auto& pools = *new std::map<int, cudaMemPool_t>;
  const std::lock_guard lock(making);
  cudaMemPool_t& pool = pools[device];
  if (pool == nullptr) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location = {cudaMemLocationTypeDevice, device};
    REC_CUDA_CHECK(cudaMemPoolCreate(&pool, &properties));
    uint64_t everything = std::numeric_limits<uint64_t>::max();
    REC_CUDA_CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &everything));
  }
  return pool;
}

// Memory that operations use one after another while they run. Grows where nobody has said how much
// it takes, and keeps what it has.
class Scratch {
 public:
  // allocate(bytes) gives device memory.
  template <class Allocate>
  VectorView<std::byte> take(int64_t bytes, Allocate allocate) {
    if (bytes > size_) {
      memory_ = allocate(size_t(bytes));
      size_ = bytes;
    }
    return {static_cast<std::byte*>(memory_.get()), bytes};
  }
  SharedMemory memory() const { return memory_; }

 private:
  SharedMemory memory_;
  int64_t size_ = 0;
};

// Makes a device the thread's, and puts back what it had.
class DeviceInUse {
 public:
  explicit DeviceInUse(int device) {
    REC_CUDA_CHECK(cudaGetDevice(&before_));
    if (device != before_) REC_CUDA_CHECK(cudaSetDevice(device));
  }
  ~DeviceInUse() {
    int now = before_;
    if (cudaGetDevice(&now) == cudaSuccess && now != before_) cudaSetDevice(before_);
  }
  DeviceInUse(const DeviceInUse&) = delete;
  DeviceInUse& operator=(const DeviceInUse&) = delete;

 private:
  int before_ = 0;
};

// f(T{}), T being what values are stored as.
template <class F>
auto with_type(Element element, F f) {
  return element == Element::bfloat16 ? f(Bf16{}) : f(float{});
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(int device, Precision precision) : precision_(precision), device_(device) {
    REC_CUDA_CHECK(cudaSetDevice(device));
    own_stream_ = make_stream();
    stream_ = own_stream_.get();
    side_stream_ = make_stream();
    forked_ = make_event();
    joined_ = make_event();
  }

  CudaBackend(int device, Stream stream)
      : in_use_(std::in_place, device),
        precision_(Precision::fp32),
        device_(device),
        stream_(stream == nullptr ? cudaStreamLegacy : stream) {}

  std::string name() const override {
    cudaDeviceProp properties;
    REC_CUDA_CHECK(cudaGetDeviceProperties(&properties, device_));
    const std::string name = "cuda:" + std::to_string(device_) + ", " + properties.name;
    return precision_ == Precision::fp32 ? name : name + ", " + precision_name(precision_);
  }

  std::shared_ptr<void> allocate(size_t bytes) override {
    SharedMemory memory = device_memory(bytes);
    if (bytes > 0) REC_CUDA_CHECK(cudaMemsetAsync(memory.get(), 0, bytes, stream()));
    return memory;
  }
  void upload(void* to, const void* from_host, size_t bytes) override {
    if (bytes == 0) return;
    REC_CUDA_CHECK(cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, stream()));
    wait();  // the caller may give its memory back
  }
  void download(void* to_host, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    REC_CUDA_CHECK(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, stream()));
    wait();
  }
  void wait() override { REC_CUDA_CHECK(cudaStreamSynchronize(stream())); }

  std::optional<int64_t> own_memory() const override {
    size_t free = 0, total = 0;
    REC_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return int64_t(free);
  }

  Element stored_element() const override {
    return precision_ == Precision::bf16 ? Element::bfloat16 : Element::float32;
  }

  int64_t hybrid_degree(int64_t language_width) const override {
    return cuda::hybrid_degree(language_width, precision_);
  }

  int64_t scratch_bytes(const OperationSizes& sizes) const override {
    return cuda::Gemm::workspace_bytes() + main_scratch_bytes(sizes) + drawing_scratch_bytes(sizes);
  }
  void reserve_scratch(const OperationSizes& sizes) override {
    gemm();
    take(scratch_, main_scratch_bytes(sizes));
    take(drawing_scratch_, drawing_scratch_bytes(sizes));
    if (sizes.lists > 0) most_ranking_bytes_ = ranking_scratch_bytes(sizes);
  }

  // The first call runs as it is: libraries choose and load what they need, and scratch that was
  // not reserved is taken. The second is recorded; later ones replay.
  void step(const void* key, const std::function<void()>& operations) override {
    const cuda::NvtxRange range("step");
    const auto [step, first_call] = steps_.try_emplace(key);
    if (first_call) return operations();
    if (!step->second.graph) step->second = record(operations);
    REC_CUDA_CHECK(cudaGraphLaunch(step->second.graph.get(), stream()));
  }
  void forget_step(const void* key) override { steps_.erase(key); }

  // A branch of its own in a recorded step.
  void side_by_side(const std::function<void()>& aside,
                    const std::function<void()>& meanwhile) override {
    require(side_stream_ != nullptr, "cuda: nothing runs beside a stream of the caller's");
    REC_CUDA_CHECK(cudaEventRecord(forked_.get(), stream_));
    REC_CUDA_CHECK(cudaStreamWaitEvent(side_stream_.get(), forked_.get(), 0));
    {
      struct Aside {
        explicit Aside(bool& on) : is_aside(on) { is_aside = true; }
        ~Aside() { is_aside = false; }
        bool& is_aside;
      };
      const Aside issued(is_aside_);
      aside();
    }
    meanwhile();
    REC_CUDA_CHECK(cudaEventRecord(joined_.get(), side_stream_.get()));
    REC_CUDA_CHECK(cudaStreamWaitEvent(stream_, joined_.get(), 0));
  }

  // With scratch that no other operation uses: they may be at work beside it.
  void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                  const BatchView& batch) override {
    const cuda::NvtxRange range("draw batch");
    cuda::draw_batch(from, clock, ahead, batch, drawing_scratch(batch), stream());
  }
  void group_batch(const BatchView& batch) override {
    const cuda::NvtxRange range("group batch");
    cuda::group_batch(batch, drawing_scratch(batch), stream());
  }
  void take_ids(const GivenIds& given, int64_t count, MatrixView<int32_t> ids,
                double* loss_sum) override {
    const cuda::NvtxRange range("take ids");
    std::visit([&](auto from) { cuda::take_ids(from, count, ids, loss_sum, stream()); }, given);
  }

  void project(const StoredLanguage& z, const GraphView& graph, const ProjectorView& projector,
               const ProjectorTape& tape, MatrixView<float> e0) override {
    const cuda::NvtxRange range("project");
    with_type(stored_element(), [&]<class T>(T) {
      const int last = projector.layers - 1;
      if (last == 0) return project_first<T>(z, graph, projector, e0);
      project_first<T>(z, graph, projector, tape.hidden[0].as<T>());
      for (int l = 1; l < last; ++l)
        apply_layer<T>(tape.hidden[l - 1], projector.layer[l], tape.hidden[l].as<T>());
      apply_layer<T>(tape.hidden[last - 1], projector.layer[last], e0);
    });
  }

  void project_adjoint(const StoredLanguage& z, const GraphView& graph,
                       const ProjectorView& projector, const ProjectorTape& tape,
                       MatrixView<float> grad_e0, const ProjectorGradientView& grad) override {
    const cuda::NvtxRange range("project adjoint");
    with_type(stored_element(), [&]<class T>(T) {
      const int last = projector.layers - 1;
      if (last == 0) return project_first_adjoint<T>(z, graph, grad_e0, grad);
      apply_layer_adjoint<T>(tape.hidden[last - 1], projector.layer[last], grad_e0,
                             grad.layer[last]);
      for (int l = last - 1; l >= 1; --l)
        apply_layer_adjoint<T>(tape.hidden[l - 1], projector.layer[l], tape.hidden[l].as<T>(),
                               grad.layer[l]);
      project_first_adjoint<T>(z, graph, tape.hidden[0].as<T>(), grad);
    });
  }

  void mean_of_items(const GraphView& graph, MatrixView<const float> x,
                     MatrixView<float> out) override {
    const cuda::NvtxRange range("mean of items");
    cuda::mean_of_items(graph, x, out, stream());
  }
  void mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out,
                             MatrixView<float> grad_x) override {
    const cuda::NvtxRange range("mean of items adjoint");
    cuda::mean_of_items_adjoint(
        graph, grad_out, grad_x,
        take(scratch_, cuda::mean_of_items_adjoint_scratch_bytes(graph.users())), stream());
  }

  void propagate(const GraphView& graph, int layers, const PropagationUsers& users,
                 MatrixView<const float> x, MatrixView<float> scratch,
                 MatrixView<float> e) override {
    const cuda::NvtxRange range("propagate");
    cuda::propagate(graph, layers, users, x, scratch, e, stream());
  }

  void normalise(MatrixView<const float> e, MatrixView<float> n, VectorView<float> norm) override {
    const cuda::NvtxRange range("normalise");
    cuda::normalise(e, n, norm, stream());
  }
  void normalise_adjoint(MatrixView<const float> n, VectorView<const float> norm,
                         MatrixView<float> grad) override {
    const cuda::NvtxRange range("normalise adjoint");
    cuda::normalise_backward(n, norm, grad, stream());
  }

  void objective(const ObjectiveSettings& settings, MatrixView<const float> user,
                 MatrixView<const float> item, const BatchView& batch, CsrView items_of_user,
                 const BatchGradientView& scratch, MatrixView<float> grad_user,
                 MatrixView<float> grad_item, double* loss_sum) override {
    const cuda::NvtxRange range("objective");
    switch (settings.kind) {
      case Objective::infonce:
        cuda::info_nce(user, item, batch, settings.tau, scratch, loss_sum, stream());
        break;
      case Objective::bpr: cuda::bpr(user, item, batch, scratch, loss_sum, stream()); break;
      case Objective::softmax:
        cuda::softmax(user, item, batch, view_of(settings.domains), settings.tau,
                      {scratch.user_row, scratch.row_loss, grad_item}, loss_sum,
                      take(scratch_, cuda::softmax_scratch_bytes(batch.rows(), item.rows, item.cols,
                                                                 view_of(settings.domains))),
                      stream());
        return cuda::user_gradient(batch, scratch.user_row, grad_user, stream());
      case Objective::inbatch:
        cuda::in_batch_softmax(
            user, item, batch, items_of_user, view_of(settings.domains), settings.tau,
            {scratch.user_row, scratch.row_loss, grad_item}, loss_sum,
            take(scratch_, cuda::in_batch_softmax_scratch_bytes(batch.rows(), item.rows, item.cols,
                                                                view_of(settings.domains))),
            stream());
        return cuda::user_gradient(batch, scratch.user_row, grad_user, stream());
    }
    cuda::batch_gradient(user, batch, scratch, grad_user, grad_item, stream());
  }

  void batch_l2(MatrixView<const float> x, const BatchView& batch, float weight,
                MatrixView<float> grad, VectorView<double> node_loss, double* loss_sum) override {
    const cuda::NvtxRange range("batch l2");
    cuda::batch_l2(x, batch, weight, grad, node_loss, loss_sum, stream());
  }

  void optimiser_step(const AdamSettings& settings, const ParameterSlabs& slabs,
                      TrainingClock* clock) override {
    const cuda::NvtxRange range("optimiser step");
    cuda::adam(settings, &clock->updates, slabs.weight, slabs.grad, slabs.first_moment,
               slabs.second_moment, slabs.rounded, stream());
    cuda::advance_clock(clock, stream());
  }

  void rank(const RankingRequest& request, MatrixView<int32_t> top_item,
            MatrixView<float> top_score) override {
    const cuda::NvtxRange range("rank");
    cuda::rank(request, top_item, top_score,
               take(scratch_, cuda::rank_scratch_bytes(request.user_row.size, request.item.rows,
                                                       request.item.cols, top_item.cols, precision_,
                                                       most_ranking_bytes_)),
               precision_, stream());
  }

 private:
  struct Step {
    RecordedStep graph;
    SharedMemory scratch, drawing_scratch;  // what the recorded operations use
  };

  // Of everything but a draw.
  int64_t main_scratch_bytes(const OperationSizes& sizes) const {
    const ProjectionSize& size = sizes.projection;
    const auto first = [&]<class T>(T, auto pre) {
      return cuda::projection_scratch_bytes<T, decltype(pre)>(
          size.users, size.items, size.heavy_users, size.layers == 1 ? size.dim : size.hidden);
    };
    int64_t most = with_type(stored_element(), [&](auto stored) {
      return size.layers == 0   ? int64_t{0}
             : size.layers == 1 ? first(stored, float{})
                                : first(stored, stored);
    });
    for (int l = 1; l < size.layers; ++l) {
      const int64_t out = l == size.layers - 1 ? size.dim : size.hidden;
      most = std::max(most,
                      cuda::hidden_layer_scratch_bytes(size.users + size.items, size.hidden, out));
    }
    if (sizes.batch > 0 && sizes.objective == Objective::softmax)
      most = std::max(most, cuda::softmax_scratch_bytes(sizes.batch, size.items, size.dim,
                                                        view_of(sizes.domains)));
    if (sizes.batch > 0 && sizes.objective == Objective::inbatch)
      most = std::max(most, cuda::in_batch_softmax_scratch_bytes(sizes.batch, size.items, size.dim,
                                                                 view_of(sizes.domains)));
    return sizes.lists > 0 ? std::max(most, ranking_scratch_bytes(sizes)) : most;
  }
  int64_t ranking_scratch_bytes(const OperationSizes& sizes) const {
    return cuda::rank_scratch_bytes(sizes.lists, sizes.projection.items, sizes.projection.dim,
                                    sizes.k, precision_, kMostRankingBytes);
  }
  static int64_t drawing_scratch_bytes(const OperationSizes& sizes) {
    return sizes.batch > 0 ? cuda::draw_batch_scratch_bytes(sizes.batch, sizes.negatives) : 0;
  }

  Stream stream() const { return is_aside_ ? side_stream_.get() : stream_; }

  // On a stream of the caller's in its order, and then no call of these waits for the GPU.
  SharedMemory device_memory(size_t bytes) const {
    void* memory = nullptr;
    if (bytes == 0) return nullptr;
    if (own_stream_) {
      REC_CUDA_CHECK(cudaMalloc(&memory, bytes));
      return {memory, [](void* p) { cudaFree(p); }};
    }
    REC_CUDA_CHECK(cudaMallocFromPoolAsync(&memory, bytes, pool_of(device_), stream_));
    return {memory, [in_order_of = stream_](void* p) { cudaFreeAsync(p, in_order_of); }};
  }
  VectorView<std::byte> take(Scratch& from, int64_t bytes) const {
    return from.take(bytes, [&](size_t size) { return device_memory(size); });
  }
  VectorView<std::byte> drawing_scratch(const BatchView& batch) {
    return take(drawing_scratch_, cuda::draw_batch_scratch_bytes(batch.rows(), batch.negatives()));
  }

  // Made when it is first needed: its workspace is part of what is announced beforehand.
  cuda::Gemm& gemm() {
    if (!gemm_) gemm_ = std::make_unique<cuda::Gemm>(precision_);
    return *gemm_;
  }

  template <class T, class Pre>
  VectorView<std::byte> projection_scratch(const StoredLanguage& z, const GraphView& graph,
                                           MatrixView<Pre> pre) {
    return take(scratch_, cuda::projection_scratch_bytes<T, Pre>(graph.users(), graph.items(),
                                                                 z.heavy.rows, pre.cols));
  }
  template <class T, class Pre>
  void project_first(const StoredLanguage& z, const GraphView& graph,
                     const ProjectorView& projector, MatrixView<Pre> pre) {
    cuda::project_language(gemm(), z.as<T>(), graph, projector.layer[0].as<T>(), pre,
                           projection_scratch<T>(z, graph, pre), stream());
  }
  template <class T, class Pre>
  void project_first_adjoint(const StoredLanguage& z, const GraphView& graph,
                             MatrixView<Pre> grad_pre, const ProjectorGradientView& grad) {
    cuda::project_language_backward(gemm(), z.as<T>(), graph, grad_pre, grad.layer[0],
                                    projection_scratch<T>(z, graph, grad_pre), stream());
  }
  template <class T, class Y>
  void apply_layer(StoredView act, const StoredLinear& layer, MatrixView<Y> y) {
    if constexpr (std::is_same_v<T, float>)
      cuda::hidden_layer(act.as<T>(), layer.as<T>(), y, precision_, stream());
    else
      cuda::hidden_layer(act.as<T>(), layer.as<T>(), y, stream());
  }
  template <class T, class Y>
  void apply_layer_adjoint(StoredView act, const StoredLinear& layer, MatrixView<Y> grad_y,
                           const LinearGradientView& grad) {
    const VectorView<std::byte> scratch =
        take(scratch_, cuda::hidden_layer_scratch_bytes(act.rows, act.cols, grad_y.cols));
    const MatrixView<const Y> from = grad_y;
    if constexpr (std::is_same_v<T, float>)
      cuda::hidden_layer_backward(act.as<T>(), layer.as<T>(), from, grad, scratch, precision_,
                                  stream());
    else
      cuda::hidden_layer_backward(act.as<T>(), layer.as<T>(), from, grad, scratch, stream());
  }

  Step record(const std::function<void()>& operations) {
    REC_CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t captured = nullptr;
    try {
      operations();
    } catch (...) {
      cudaStreamEndCapture(stream(), &captured);
      OwnedGraph unused(captured);
      throw;
    }
    REC_CUDA_CHECK(cudaStreamEndCapture(stream(), &captured));
    const OwnedGraph graph(captured);
    cudaGraphExec_t executable = nullptr;
    REC_CUDA_CHECK(cudaGraphInstantiate(&executable, graph.get(), 0));
    return {RecordedStep(executable), scratch_.memory(), drawing_scratch_.memory()};
  }

  std::optional<DeviceInUse> in_use_;  // of one on a stream of the caller's; put back last
  Precision precision_;
  int device_;
  OwnedStream own_stream_, side_stream_;  // none on a stream of the caller's
  Stream stream_ = nullptr;
  OwnedEvent forked_, joined_;
  bool is_aside_ = false;  // operations go into side_stream_
  std::unique_ptr<cuda::Gemm> gemm_;
  Scratch scratch_, drawing_scratch_;
  int64_t most_ranking_bytes_ = kMostRankingBytes;
  std::map<const void*, Step> steps_;
};

}  // namespace

GpuReport gpu_report() {
  GpuReport report;
  int version = 0;
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0)
    report.driver = version_text(version);
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) report.runtime = version_text(version);
  int gpus = 0;
  const cudaError_t counted = cudaGetDeviceCount(&gpus);
  if (counted == cudaErrorInsufficientDriver) {
    report.problem = report.driver.empty() ? "this machine has no NVIDIA driver"
                                           : "the NVIDIA driver is for CUDA " + report.driver +
                                                 ", older than this build's " + report.runtime;
  } else if (counted == cudaErrorNoDevice || (counted == cudaSuccess && gpus == 0)) {
    report.problem = "this machine has no NVIDIA GPU";
  } else if (counted != cudaSuccess) {
    report.problem = std::string("the NVIDIA driver says: ") + cudaGetErrorString(counted);
  }
  if (!report.problem.empty()) {
    cudaGetLastError();
    return report;
  }
  for (int g = 0; g < gpus; ++g) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, g) != cudaSuccess) continue;
    report.gpus.push_back({properties.name, properties.major, properties.minor,
                           properties.multiProcessorCount, int64_t(properties.totalGlobalMem)});
  }
  if (report.gpus.empty() || report.gpus[0].major < kLeastMajor)
    report.problem = "the GPU is older than compute capability " + std::to_string(kLeastMajor) +
                     ".0, which this build needs";
  return report;
}

std::unique_ptr<Backend> make_cuda_backend(int device, Precision precision) {
  return std::make_unique<CudaBackend>(device, precision);
}

std::unique_ptr<Backend> make_cuda_backend_on(int device, Stream stream) {
  return std::make_unique<CudaBackend>(device, stream);
}

std::optional<int> gpu_of(const void* p) {
  cudaPointerAttributes attributes;
  if (cudaPointerGetAttributes(&attributes, p) != cudaSuccess) {
    cudaGetLastError();
    return std::nullopt;
  }
  const bool on_gpu =
      attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return on_gpu ? std::optional<int>(attributes.device) : std::nullopt;
}

}  // namespace rec
