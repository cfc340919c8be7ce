#include "host/progress/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace rec {

Progress::Progress(int64_t total, bool quiet)
    : total_(total),
      shown_(!quiet && ::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void Progress::update(int64_t done, const std::string& note) {
  const auto now = std::chrono::steady_clock::now();
  if (first_ < 0) {  // the first position: a resumed job starts in the middle
    first_ = done;
    start_ = now;
  }
  if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  constexpr int kWidth = 24;
  const double part = total_ > 0 ? double(done) / double(total_) : 1.0;
  const int filled = std::clamp(int(part * kWidth), 0, kWidth);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const std::string left =
      done > first_ ? clock_text(elapsed * double(total_ - done) / double(done - first_)) : "?";
  const std::string bar =
      fmt::format("\r\033[K[{}{}] {:3.0f}%  {}  {} left", std::string(size_t(filled), '#'),
                  std::string(size_t(kWidth - filled), '.'), 100 * part, note, left);
  std::fputs(bar.c_str(), stderr);  // a terminal that is gone must not end the job
  std::fflush(stderr);
  drawn_ = true;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace rec
