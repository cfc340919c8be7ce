// One small kernel for each thing that the emulator promises to report, or to run as a GPU would.
// Each is put into the stream, and does what its name says when the stream is waited for.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/common/stream.h"

namespace rec::test {

// ---- reported ----
void barriers_at_two_places(Stream stream);
void barrier_that_half_the_threads_miss(Stream stream);  // they wait for the others elsewhere
void return_before_a_barrier(Stream stream);
void shuffle_from_outside_the_mask(Stream stream);
void lane_outside_its_own_mask(Stream stream);
void lanes_in_different_collectives(Stream stream);
void mask_with_a_lane_that_returned(Stream stream);
void static_shared_memory_beyond_48_kib(Stream stream);
void dynamic_shared_memory(size_t bytes, Stream stream);
void async_copy_never_waited_for(Stream stream);

// ---- run ----

// shared, device [1]: what a thread reads that nobody wrote. from [1]
void copy_unwritten(int32_t* shared, const int32_t* from, int32_t* device, Stream stream);
// before, after [1]: what a thread reads of a copy of from [1] before and after it waits for it.
void async_copy(const int32_t* from, int32_t* before, int32_t* after, Stream stream);
// log [1 + ...]: appends every thread's number in the grid to log[1 + log[0]++].
void log_threads(int blocks, int threads, int32_t* log, Stream stream);
// The same with one number.
void log_number(int32_t number, int32_t* log, Stream stream);
// to[0] = from[0] + 1
void add_one(const int32_t* from, int32_t* to, Stream stream);

}  // namespace rec::test
