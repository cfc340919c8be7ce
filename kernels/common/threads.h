// How many threads OpenMP regions begin with.
#pragma once
#include <omp.h>
#include <pthread.h>

#include <atomic>

namespace rec::cpu {

// Whether the process was forked since this was first asked: of the threads that ran then, a child has
// none, and OpenMP would wait for them.
inline bool is_forked() {
  static std::atomic<bool> forked{false};
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  return forked.load();
}

// Gives OpenMP regions begun by this thread a number of threads while it lives, one in a process that
// was forked, and then puts back what was there: backends with different numbers, and the caller's own regions, do not disturb
// each other.
class ThreadsInUse {
 public:
  explicit ThreadsInUse(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(is_forked() ? 1 : threads);
  }
  ~ThreadsInUse() { omp_set_num_threads(before_); }
  ThreadsInUse(const ThreadsInUse&) = delete;
  ThreadsInUse& operator=(const ThreadsInUse&) = delete;

 private:
  int before_;
};

}  // namespace rec::cpu
