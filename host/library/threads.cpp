#include "host/library/threads.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "engine/backend_cpu.h"

namespace rec {
namespace {

std::atomic<int> wanted{0};  // 0: all processors
std::atomic<bool> forked{false};

}  // namespace

void set_threads(int count) {
  if (count < 0)
    throw std::invalid_argument("threads: expected 0 (all processors) or more, given " +
                                std::to_string(count));
  wanted.store(count);
}

int threads_setting() {
  // Threads run only after somebody has asked here how many.
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  return forked.load() ? 1 : wanted.load();
}

int threads() {
  const int setting = threads_setting();
  return setting > 0 ? setting : omp_get_num_procs();
}

std::unique_ptr<Backend> cpu_backend() { return make_cpu_backend(threads()); }

}  // namespace rec
