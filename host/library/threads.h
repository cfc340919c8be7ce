// How many threads the operations of a process run with that uses the engine as a library.
#pragma once
#include <memory>

#include "engine/backend.h"

namespace rec {

// count: 0 for all processors, as at the start. Throws std::invalid_argument where it is below 0.
void set_threads(int count);
// What was set, as make_backend takes it; how many that are. In a process that was forked from one
// in which threads ran it is one: those threads are not there any more.
int threads_setting();
int threads();
// A CPU backend of so many threads.
std::unique_ptr<Backend> cpu_backend();

}  // namespace rec
