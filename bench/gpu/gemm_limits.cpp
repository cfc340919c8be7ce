// The fastest matrix product of cuBLASLt.
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "bench/gpu/limits.h"
#include "bench/place.h"
#include "bench/shapes.h"

namespace rec::bench {
namespace {

constexpr size_t kWorkspaceBytes = size_t{64} << 20;
constexpr int kProposals = 32;
constexpr int kRuns = 5;
constexpr int kProductsARun = 5;

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string("cuBLASLt: ") + call +
                             " failed: " + cublasLtGetStatusString(status));
}

struct Types {
  cublasComputeType_t compute;
  cudaDataType_t value;
};
Types types_of(Precision precision) {
  switch (precision) {
    case Precision::fp32: return {CUBLAS_COMPUTE_32F, CUDA_R_32F};
    case Precision::tf32: return {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F};
    case Precision::bf16: return {CUBLAS_COMPUTE_32F, CUDA_R_16BF};
  }
  throw std::invalid_argument("not a precision");
}

// Row-major matrices are column-major ones transposed: c^T [n, m] is what cuBLASLt makes.
struct Product {
  Product(int64_t m, int64_t n, int64_t k, Types types, bool transposed) {
    check(cublasLtCreate(&handle), "cublasLtCreate");
    check(cublasLtMatmulDescCreate(&operation, types.compute, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    const cublasOperation_t first = transposed ? CUBLAS_OP_N : CUBLAS_OP_T,
                            second = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, first);
    set(CUBLASLT_MATMUL_DESC_TRANSB, second);
    layout(&b, types.value, transposed ? n : k, transposed ? k : n);
    layout(&a, types.value, transposed ? m : k, transposed ? k : m);
    layout(&c, types.value, n, m);
    check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &kWorkspaceBytes, sizeof(kWorkspaceBytes)),
          "cublasLtMatmulPreferenceSetAttribute");
  }
  ~Product() {
    cublasLtMatmulPreferenceDestroy(preference);
    for (cublasLtMatrixLayout_t each : {a, b, c}) cublasLtMatrixLayoutDestroy(each);
    cublasLtMatmulDescDestroy(operation);
    cublasLtDestroy(handle);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;

 private:
  void set(cublasLtMatmulDescAttributes_t which, cublasOperation_t value) {
    check(cublasLtMatmulDescSetAttribute(operation, which, &value, sizeof(value)),
          "cublasLtMatmulDescSetAttribute");
  }
  static void layout(cublasLtMatrixLayout_t* made, cudaDataType_t type, int64_t rows,
                     int64_t cols) {
    check(cublasLtMatrixLayoutCreate(made, type, uint64_t(rows), uint64_t(cols), rows),
          "cublasLtMatrixLayoutCreate");
  }
};

// Random values, so that the multipliers draw the power that they draw in use.
void* random_matrix(Place& place, int64_t values, Precision precision, uint64_t seed) {
  HostMatrix made = HostMatrix::random(1, values, seed);
  if (precision != Precision::bf16) return place.put(made.flat()).data;
  std::vector<uint16_t> upper(static_cast<size_t>(values));
  for (int64_t i = 0; i < values; ++i)
    upper[size_t(i)] = uint16_t(reinterpret_cast<const uint32_t*>(made.flat().data)[i] >> 16);
  return place.put(VectorView<uint16_t>(upper.data(), values)).data;
}

}  // namespace

double gpu_gemm_rate(int64_t m, int64_t n, int64_t k, Precision precision, bool transposed) {
  const Types types = types_of(precision);
  const Product product(m, n, k, types, transposed);
  Place place(Place::Kind::gpu);
  const void* const a = random_matrix(place, m * k, precision, 1);
  const void* const b = random_matrix(place, n * k, precision, 2);
  void* const c = place.scratch(m * n * 4).data;
  void* const workspace = place.scratch(int64_t(kWorkspaceBytes)).data;

  std::array<cublasLtMatmulHeuristicResult_t, kProposals> proposals;
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(product.handle, product.operation, product.b, product.a,
                                       product.c, product.c, product.preference, kProposals,
                                       proposals.data(), &count),
        "cublasLtMatmulAlgoGetHeuristic");
  const float one = 1, zero = 0;
  double shortest_ms = 1e30;
  for (int p = 0; p < count; ++p) {
    bool runs = true;
    const auto multiply = [&](Stream stream) {
      for (int times = 0; times < kProductsARun; ++times)
        runs = runs &&
               cublasLtMatmul(product.handle, product.operation, &one, b, product.b, a, product.a,
                              &zero, c, product.c, c, product.c, &proposals[size_t(p)].algo,
                              workspace, kWorkspaceBytes, stream) == CUBLAS_STATUS_SUCCESS;
    };
    for (int run = 0; run < kRuns && runs; ++run) {
      const double milliseconds = gpu_milliseconds(multiply, /*flush=*/false) / kProductsARun;
      if (runs && run > 0) shortest_ms = std::min(shortest_ms, milliseconds);
    }
  }
  if (shortest_ms == 1e30) throw std::runtime_error("cuBLASLt: none of its proposals runs");
  return 2.0 * double(m) * double(n) * double(k) / (shortest_ms / 1e3);
}

}  // namespace rec::bench
