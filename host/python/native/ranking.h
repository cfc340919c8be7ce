// Exact ranking and evaluation of anybody's vectors.
#pragma once
#include <nanobind/nanobind.h>

namespace rec::python {

void bind_ranking(nanobind::module_& module);

}  // namespace rec::python
