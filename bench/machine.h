// The machine a bench ran on, and its limits.
#pragma once
#include <cstdint>
#include <string>

namespace rec::bench {

int threads();
std::string cpu_name();
int64_t memory_bytes();

inline constexpr int64_t kSgemmSize = 2048;  // m = n = k: 16 MiB an operand

// Flops per second of an sgemm of kSgemmSize, all threads.
double sgemm_rate();
// Bytes read plus written per second by a copy between two arrays of array_bytes each, all threads.
double copy_rate(int64_t array_bytes);
// An array size at which a copy runs from memory:
// several times the last cache, within what is free.
int64_t bytes_beyond_cache();
// Bytes read per second by adding up rows of row_bytes, at random from table_bytes, all threads.
double gather_rate(int64_t row_bytes, int64_t table_bytes);

}  // namespace rec::bench
