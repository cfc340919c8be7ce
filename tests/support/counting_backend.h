// A backend that counts what is allocated through it and read back, and leaves the work to another.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "tests/support/forwarding_backend.h"

namespace rec::test {

class CountingBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  int64_t allocations() const { return allocations_; }
  int64_t bytes() const { return *bytes_; }           // that are in use
  int64_t most_bytes() const { return most_bytes_; }  // that were in use at once
  int64_t downloads() const { return downloads_; }
  int64_t draws() const { return draws_; }

  std::shared_ptr<void> allocate(size_t bytes) override {
    ++allocations_;
    *bytes_ += int64_t(bytes);
    most_bytes_ = std::max(most_bytes_, *bytes_);
    std::shared_ptr<void> memory = ForwardingBackend::allocate(bytes);
    void* const at = memory.get();
    return {at, [memory = std::move(memory), bytes, in_use = bytes_](void*) mutable {
              memory.reset();
              *in_use -= int64_t(bytes);
            }};
  }
  void download(void* to_host, const void* from, size_t bytes) override {
    ++downloads_;
    ForwardingBackend::download(to_host, from, bytes);
  }
  void draw_batch(const SamplerTables& from, const TrainingClock* clock, int64_t ahead,
                  const BatchView& batch) override {
    ++draws_;
    ForwardingBackend::draw_batch(from, clock, ahead, batch);
  }

 private:
  // Shared with the memory handed out, which may outlive the backend.
  std::shared_ptr<int64_t> bytes_ = std::make_shared<int64_t>(0);
  int64_t allocations_ = 0, most_bytes_ = 0, downloads_ = 0, draws_ = 0;
};

}  // namespace rec::test
