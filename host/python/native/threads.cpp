#include "host/python/native/threads.h"

#include "host/library/threads.h"

namespace rec::python {

void bind_threads(nanobind::module_& module) {
  module.def("set_num_threads", &set_threads, nanobind::arg("threads"));
  module.def("get_num_threads", &threads);
}

}  // namespace rec::python
