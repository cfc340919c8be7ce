// Datasets, training and trained models.
#pragma once
#include <nanobind/nanobind.h>

namespace rec::python {

void bind_model(nanobind::module_& module);

}  // namespace rec::python
