// Arrays of tests that kernels of every backend may read and write, and the test itself too.
#pragma once
#include <cstddef>
#include <vector>

namespace rec::test {

// Memory of the host that the device can reach as well, where there is one. Never null.
void* take_test_memory(size_t bytes);
void give_test_memory_back(void* memory);

template <class T>
struct TestAllocator {
  using value_type = T;
  TestAllocator() = default;
  template <class U>
  TestAllocator(const TestAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(take_test_memory(count * sizeof(T))); }
  void deallocate(T* memory, size_t) { give_test_memory_back(memory); }
  template <class U>
  bool operator==(const TestAllocator<U>&) const {
    return true;
  }
};

template <class T>
using Values = std::vector<T, TestAllocator<T>>;

// Lets the arrays' memory end where their values do, so that a read beyond is noticed.
template <class... T>
void end_memory_behind(Values<T>&... values) {
  (values.shrink_to_fit(), ...);
}

}  // namespace rec::test
