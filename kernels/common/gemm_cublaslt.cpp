#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "kernels/common/cuda_check.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/common/gemm_shapes.h"

namespace rec::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what the library asks for on Hopper
constexpr int kMostCandidates = 32;
constexpr int kTrials = 5;

void check(cublasStatus_t status, const char* call, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw std::bad_alloc();
  throw CudaError(cudaErrorUnknown, std::string("CUDA: ") + call + " failed at " + __FILE__ + ":" +
                                        std::to_string(line) + ": " +
                                        cublasLtGetStatusString(status));
}
#define REC_CUBLAS_CHECK(call) check((call), #call, __LINE__)

cudaDataType_t type_of(Element element) {
  return element == Element::float32 ? CUDA_R_32F : CUDA_R_16BF;
}

constexpr uint32_t kMostAlignment = 256;

// The largest power of two, up to kMostAlignment, that divides the address.
uint32_t alignment_of(const void* p) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  uint32_t alignment = kMostAlignment;
  while (address % alignment != 0) alignment /= 2;
  return alignment;
}

// Ends a pair of events whatever happens between.
class Stopwatch {
 public:
  Stopwatch() {
    REC_CUDA_CHECK(cudaEventCreate(&begin_));
    REC_CUDA_CHECK(cudaEventCreate(&end_));
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // Milliseconds that the stream spends on what run() puts into it.
  template <class Run>
  float time(Stream stream, Run run) {
    REC_CUDA_CHECK(cudaEventRecord(begin_, stream));
    run();
    REC_CUDA_CHECK(cudaEventRecord(end_, stream));
    REC_CUDA_CHECK(cudaEventSynchronize(end_));
    float milliseconds = 0;
    REC_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return milliseconds;
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes) { REC_CUDA_CHECK(cudaMalloc(&memory_, bytes)); }
  ~DeviceMemory() { cudaFree(memory_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* data() const { return memory_; }

 private:
  void* memory_ = nullptr;
};

struct CloseLibrary {
  void operator()(cublasLtHandle_t handle) const { cublasLtDestroy(handle); }
};
using Handle = std::unique_ptr<cublasLtContext, CloseLibrary>;

Handle open_library() {
  cublasLtHandle_t handle = nullptr;
  REC_CUBLAS_CHECK(cublasLtCreate(&handle));
  return Handle(handle);
}

}  // namespace

struct Gemm::Library {
  // The library counts columns first. A row-major matrix is the transpose of a column-major one
  // with the same memory, so c^T = op(b)^T op(a)^T is what it is asked for: b is its first operand,
  // and a bias along the rows of its result is one along our columns.
  struct Call {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, c;  // of our operands
  };
  // The product, its shape, strides, types and alignments.
  using Key = std::array<int64_t, 15>;

  explicit Library(Precision p)
      : precision(p), handle(open_library()), workspace(kWorkspaceBytes) {}

  void multiply(Product product, ConstStoredView a, ConstStoredView b, ConstStoredView bias,
                Into into, StoredView c, Stream stream) {
    const ProductShape shape = product_shape(product, a, b, bias, c);
    if (shape.m == 0 || shape.n == 0) return;
    if (shape.k == 0) {
      if (into == Into::overwrite)
        REC_CUDA_CHECK(cudaMemset2DAsync(c.data, size_t(bytes_of(c.element) * c.stride), 0,
                                         size_t(bytes_of(c.element) * c.cols), size_t(c.rows),
                                         stream));
      return;
    }
    Call call = make_call(product, a, b, bias, c);
    const Key key = {int64_t(product),
                     shape.m,
                     shape.n,
                     shape.k,
                     a.stride,
                     b.stride,
                     c.stride,
                     int64_t(into),
                     bias.rows,
                     int64_t(a.element),
                     int64_t(c.element),
                     alignment_of(a.data),
                     alignment_of(b.data),
                     alignment_of(c.data),
                     alignment_of(bias.data)};
    auto plan = plans.find(key);
    if (plan == plans.end()) {
      const auto candidates = suggestions(call, a, b, c);
      const auto& best =
          measures ? fastest(candidates, call, a, b, into, c, stream) : candidates.front();
      plan = plans.emplace(key, best.algo).first;
    }
    run(call, plan->second, a, b, into, c, c.data, stream);
  }

  Call make_call(Product product, ConstStoredView a, ConstStoredView b, ConstStoredView bias,
                 StoredView c) const {
    Call call;
    REC_CUBLAS_CHECK(cublasLtMatmulDescInit(
        &call.operation,
        precision == Precision::tf32 && a.element == Element::float32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                      : CUBLAS_COMPUTE_32F,
        CUDA_R_32F));
    const cublasOperation_t turn_b = product == Product::a_bt ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t turn_a = product == Product::at_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(call.operation, CUBLASLT_MATMUL_DESC_TRANSA, turn_b);
    set(call.operation, CUBLASLT_MATMUL_DESC_TRANSB, turn_a);
    if (bias.rows > 0) {
      set(call.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(call.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.data);
    }
    const auto layout = [](cublasLtMatrixLayoutOpaque_t& of, ConstStoredView m) {
      REC_CUBLAS_CHECK(cublasLtMatrixLayoutInit(&of, type_of(m.element), uint64_t(m.cols),
                                                uint64_t(m.rows), m.stride));
    };
    layout(call.a, a);
    layout(call.b, b);
    layout(call.c, c);
    return call;
  }

  template <class T>
  static void set(cublasLtMatmulDescOpaque_t& operation, cublasLtMatmulDescAttributes_t attribute,
                  const T& value) {
    REC_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value));
  }
  template <class T>
  static void set(cublasLtMatmulPreferenceOpaque_t& preference,
                  cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
    REC_CUBLAS_CHECK(
        cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value));
  }

  // What the library thinks fastest first. Only algorithms that make each value in one sequence: no
  // parts of k are added up afterwards.
  std::vector<cublasLtMatmulHeuristicResult_t> suggestions(Call& call, ConstStoredView a,
                                                           ConstStoredView b, StoredView c) const {
    cublasLtMatmulPreferenceOpaque_t preference;
    REC_CUBLAS_CHECK(cublasLtMatmulPreferenceInit(&preference));
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspaceBytes});
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(b.data));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a.data));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c.data));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c.data));
    std::vector<cublasLtMatmulHeuristicResult_t> found(kMostCandidates);
    int count = 0;
    REC_CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(handle.get(), &call.operation, &call.b, &call.a,
                                                    &call.c, &call.c, &preference, kMostCandidates,
                                                    found.data(), &count));
    found.resize(size_t(count));
    std::erase_if(found, [](const auto& one) {
      return one.state != CUBLAS_STATUS_SUCCESS || sums_in_parts(one.algo);
    });
    if (found.empty())
      check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic", __LINE__);
    return found;
  }

  static bool sums_in_parts(const cublasLtMatmulAlgo_t& algo) {
    int32_t parts = 1;
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t written = 0;
    REC_CUBLAS_CHECK(cublasLtMatmulAlgoConfigGetAttribute(&algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                          &parts, sizeof parts, &written));
    REC_CUBLAS_CHECK(cublasLtMatmulAlgoConfigGetAttribute(
        &algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &written));
    return parts > 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE;
  }

  // Each writes to memory of its own, so that c keeps what an `add` needs.
  const cublasLtMatmulHeuristicResult_t& fastest(
      const std::vector<cublasLtMatmulHeuristicResult_t>& candidates, Call& call, ConstStoredView a,
      ConstStoredView b, Into into, StoredView c, Stream stream) {
    // As aligned as c is, and no more.
    const size_t offset = alignment_of(c.data) % kMostAlignment;
    const DeviceMemory result(size_t(bytes_of(c.element) * c.rows * c.stride) + offset);
    void* const out = static_cast<std::byte*>(result.data()) + offset;
    Stopwatch stopwatch;
    size_t best = 0;
    float shortest = std::numeric_limits<float>::max();
    for (size_t n = 0; n < candidates.size(); ++n) {
      const auto once = [&] { run(call, candidates[n].algo, a, b, into, c, out, stream); };
      once();  // the first loads the kernel
      float median[kTrials];
      for (float& milliseconds : median) milliseconds = stopwatch.time(stream, once);
      std::sort(median, median + kTrials);
      if (median[kTrials / 2] < shortest) shortest = median[kTrials / 2], best = n;
    }
    return candidates[best];
  }

  void run(Call& call, const cublasLtMatmulAlgo_t& algo, ConstStoredView a, ConstStoredView b,
           Into into, StoredView c, void* out, Stream stream) {
    const float alpha = 1.0f, beta = into == Into::add ? 1.0f : 0.0f;
    REC_CUBLAS_CHECK(cublasLtMatmul(handle.get(), &call.operation, &alpha, b.data, &call.b, a.data,
                                    &call.a, &beta, c.data, &call.c, out, &call.c, &algo,
                                    workspace.data(), kWorkspaceBytes, stream));
  }

  Precision precision;
  bool measures = false;
  Handle handle;
  DeviceMemory workspace;
  std::map<Key, cublasLtMatmulAlgo_t> plans;
};

Gemm::Gemm(Precision precision) : library_(new Library(precision)) {}
Gemm::~Gemm() = default;
int64_t Gemm::workspace_bytes() { return int64_t{kWorkspaceBytes}; }
void Gemm::measure_plans(bool on) { library_->measures = on; }

void Gemm::a_bt(ConstStoredView a, ConstStoredView b, ConstStoredView bias, Into into, StoredView c,
                Stream stream) {
  library_->multiply(Product::a_bt, a, b, bias, into, c, stream);
}
void Gemm::a_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream) {
  library_->multiply(Product::a_b, a, b, {}, into, c, stream);
}
void Gemm::at_b(ConstStoredView a, ConstStoredView b, Into into, StoredView c, Stream stream) {
  library_->multiply(Product::at_b, a, b, {}, into, c, stream);
}

}  // namespace rec::cuda
