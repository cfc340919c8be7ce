// Batches of users, positives and negatives, as training draws them.
#pragma once
#include <nanobind/nanobind.h>

namespace rec::python {

void bind_sampling(nanobind::module_& module);

}  // namespace rec::python
