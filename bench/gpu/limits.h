// What a GPU reaches at most: the limits that kernels are held to, and what decides between variants.
// Times are the shortest of several; rates in bytes or flops per second.
#pragma once
#include <cstdint>

#include "kernels/common/precision.h"

namespace rec::bench {

// Bytes read plus written when array_bytes are copied, each way counted.
double gpu_copy_rate(int64_t array_bytes);
// Bytes read by adding up rows of row_bytes (a multiple of 16) at random from table_bytes.
double gpu_gather_rate(int64_t row_bytes, int64_t table_bytes);
// Bytes read from shared memory at random places, load_bytes (8 or 16) at a time; all blocks.
double gpu_shared_rate(int64_t load_bytes);

// Flops of c [m, n] = a [m, k] b [n, k]^T (or, transposed, a [k, m]^T b [k, n]) by the fastest of
// cuBLASLt's proposals, all of which are tried. 0 where this build has no cuBLASLt.
double gpu_gemm_rate(int64_t m, int64_t n, int64_t k, Precision precision, bool transposed);

}  // namespace rec::bench
