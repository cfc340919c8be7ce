// For an emulated GPU.
#include "bench/gpu/limits.h"

namespace rec::bench {

double gpu_gemm_rate(int64_t, int64_t, int64_t, Precision, bool) { return 0; }

}  // namespace rec::bench
