#include "host/python/native/threads.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "engine/backend_cpu.h"

namespace rec::python {
namespace {

std::atomic<int> wanted{0};  // 0: all processors
std::atomic<bool> forked{false};

int threads() {
  const int asked = wanted.load();
  return forked.load() ? 1 : asked > 0 ? asked : omp_get_num_procs();
}

void set_num_threads(int count) {
  if (count < 0)
    throw std::invalid_argument("threads: expected 0 (all processors) or more, given " +
                                std::to_string(count));
  wanted.store(count);
}

}  // namespace

std::unique_ptr<Backend> cpu_backend() { return make_cpu_backend(threads()); }

void bind_threads(nanobind::module_& module) {
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  module.def("set_num_threads", &set_num_threads, nanobind::arg("threads"));
  module.def("get_num_threads", &threads);
}

}  // namespace rec::python
