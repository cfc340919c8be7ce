// How many threads OpenMP regions begin with.
#pragma once
#include <omp.h>

namespace rec::cpu {

// Gives OpenMP regions begun by this thread a number of threads while it lives, and then puts back
// what was there: backends with different numbers, and the caller's own regions, do not disturb
// each other.
class ThreadsInUse {
 public:
  explicit ThreadsInUse(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~ThreadsInUse() { omp_set_num_threads(before_); }
  ThreadsInUse(const ThreadsInUse&) = delete;
  ThreadsInUse& operator=(const ThreadsInUse&) = delete;

 private:
  int before_;
};

}  // namespace rec::cpu
