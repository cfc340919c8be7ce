// The CUDA runtime of the emulation: one device, whose memory is the host's.
//
// Calls of the CUDA runtime (cuda_runtime_api.h) have twins of the same names in
// device_runtime.cpp. Work put into a stream runs as late as it may: when the stream, or an event
// behind the work, is waited for. So a missing wait shows as wrong data. A captured graph runs its
// nodes in any order that its edges allow (REC_EMU_ORDER).
//
// What the device is like is read from the environment at each call:
//   REC_EMU_DEVICES=N      devices there are (default 1)
//   REC_EMU_MEMORY=BYTES   device memory there is (default 1 GiB)
//   REC_EMU_FAIL=CALL:N    the N-th call of CALL from now on fails, counted from 1, with
//                          cudaErrorDevicesUnavailable; "launch" is a name too
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/common/stream.h"

namespace rec::emulator {

// Puts work into a stream, or into the graph that the stream is captured into.
void enqueue(Stream stream, std::function<void()> work);

// How often a call has been made so far, by its name as in REC_EMU_FAIL. "cudaMemcpyDeviceToHost"
// are the copies to the host among those of cudaMemcpyAsync.
int64_t calls_made(const std::string& call);

// How often a graph at work has left open which piece of work comes next.
int64_t choices_of_graphs();

// The most bytes of device memory that were in use at once since the last call of this.
size_t take_peak_memory();

// True for memory between the ends of one allocation of the device (cudaMalloc or managed).
bool is_device_memory(const void* p);

}  // namespace rec::emulator
