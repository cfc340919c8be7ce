// A backend that counts what is allocated through it and leaves the work to another.
#pragma once
#include <cstdint>

#include "tests/support/forwarding_backend.h"

namespace rec::test {

class CountingBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  int64_t allocations() const { return allocations_; }
  int64_t bytes() const { return bytes_; }

  std::shared_ptr<void> allocate(size_t bytes) override {
    ++allocations_;
    bytes_ += int64_t(bytes);
    return ForwardingBackend::allocate(bytes);
  }

 private:
  int64_t allocations_ = 0, bytes_ = 0;
};

}  // namespace rec::test
