// Small kernels whose requests to memory can be counted by hand. One warp each, unless it says more.
#pragma once
#include <cstdint>

#include "kernels/common/stream.h"

namespace rec::test {

// to[i] = from[i] for i below 4 * 32 * warps, 4 floats a lane at once; aligned to 16. A block of
// `warps` warps.
void copy_in_fours(const float* from, float* to, int warps, Stream stream);
// to[lane] = from[stride * lane]
void copy_with_stride(const float* from, int stride, float* to, Stream stream);
// to[lane] = from[0]
void copy_one(const float* from, float* to, Stream stream);
// Lanes below 16 read from[lane] once, the others twice; then all meet and read from[0].
void read_unevenly(const float* from, float* to, Stream stream);
// to[lane] = the lane's column of a shared array [32][32], or [32][33] with `padded`, summed up.
void sum_columns_by_rows(bool padded, float* to, Stream stream);
// Every lane stores and loads Width floats of a shared array side by side. Width: 2 or 4
void shared_in_vectors(int width, float* to, Stream stream);
// Adds 1 to *sum, one lane after another.
void count_lanes(int32_t* sum, Stream stream);
// memcpy of 64 bytes, by one lane.
void copy_by_memcpy(const float* from, float* to, Stream stream);

}  // namespace rec::test
