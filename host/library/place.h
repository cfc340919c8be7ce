// Where arrays of a caller's lie, and what computes there.
#pragma once
#include <memory>

#include "engine/backend.h"
#include "kernels/common/stream.h"

namespace rec {

struct Place {
  int gpu = -1;             // -1: the host's memory
  Stream stream = nullptr;  // of a GPU: what is done with the arrays goes behind what it has to do

  bool is_host() const { return gpu < 0; }
};

// A backend for operations of one call on arrays there. On a GPU nothing waits but uploads,
// downloads and ranking. Throws std::runtime_error where that GPU cannot be used.
std::unique_ptr<Backend> backend_at(const Place& place);
// One whose memory may outlive the call. It makes the GPU the thread's, which backend_at's puts back
// if it is there before.
std::unique_ptr<Backend> lasting_backend(int gpu);

}  // namespace rec
