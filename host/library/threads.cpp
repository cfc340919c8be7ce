#include "host/library/threads.h"

#include <omp.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "engine/backend_cpu.h"
#include "kernels/common/threads.h"

namespace rec {
namespace {

std::atomic<int> wanted{0};  // 0: all processors

}  // namespace

void set_threads(int count) {
  if (count < 0)
    throw std::invalid_argument("threads: expected 0 (all processors) or more, given " +
                                std::to_string(count));
  wanted.store(count);
}

int threads_setting() { return cpu::is_forked() ? 1 : wanted.load(); }

int threads() {
  const int setting = threads_setting();
  return setting > 0 ? setting : omp_get_num_procs();
}

std::unique_ptr<Backend> cpu_backend() { return make_cpu_backend(threads()); }

}  // namespace rec
