// How far a long job is: a bar with the time left on a terminal, nothing in a pipe (where the
// caller's own lines do), nothing when quiet. Written to standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace rec {

class Progress {
 public:
  Progress(int64_t total, bool quiet);
  ~Progress();
  // done of total; note stands behind the bar: "epoch 3/50, loss 2.1304".
  void update(int64_t done, const std::string& note);
  // Takes the bar off the screen so that a line can be printed.
  void clear();

 private:
  int64_t total_, first_ = -1;
  bool shown_, drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

// "1:02:03" or "2:03"
std::string clock_text(double seconds);

}  // namespace rec
