// The parts of a training step: propagation, means of items, losses with their gradients, the projector.
#pragma once
#include <nanobind/nanobind.h>

namespace rec::python {

void bind_operators(nanobind::module_& module);

}  // namespace rec::python
