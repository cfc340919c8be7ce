// How many threads the package's operations run with.
#pragma once
#include <nanobind/nanobind.h>

#include <memory>

#include "engine/backend.h"

namespace rec::python {

// A CPU backend with the threads that set_num_threads() asked for, all processors if it did not. In a process that was
// forked from one in which threads ran it has one: those threads are not there any more.
std::unique_ptr<Backend> cpu_backend();

void bind_threads(nanobind::module_& module);

}  // namespace rec::python
