// How many threads the package's operations run with.
#pragma once
#include <nanobind/nanobind.h>

namespace rec::python {

void bind_threads(nanobind::module_& module);

}  // namespace rec::python
