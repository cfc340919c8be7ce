// A backend with another hybrid threshold, so that small data has users on both sides of it.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "tests/support/forwarding_backend.h"

namespace rec::test {

class ThresholdBackend final : public ForwardingBackend {
 public:
  ThresholdBackend(std::unique_ptr<Backend> worker, int64_t degree)
      : ForwardingBackend(std::move(worker)), degree_(degree) {}
  int64_t hybrid_degree(int64_t) const override { return degree_; }

 private:
  int64_t degree_;
};

// Everyone a row of the first layer's product; long histories only; everyone gathered.
inline constexpr int64_t kHybridDegrees[] = {0, 3, std::numeric_limits<int64_t>::max()};

}  // namespace rec::test
