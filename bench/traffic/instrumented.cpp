// What code compiled with -fsanitize=thread calls, in the place of ThreadSanitizer's runtime: every
// access goes to the traffic counter. The linker sends memcpy, memmove and memset here as well.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "bench/traffic/counter.h"

namespace {

using rec::bench::traffic_counter;

void reads(const void* site, const void* address, size_t bytes) {
  traffic_counter().add({site, address, uint32_t(bytes), false});
}
void writes(const void* site, const void* address, size_t bytes) {
  traffic_counter().add({site, address, uint32_t(bytes), true});
}

}  // namespace

// Each must know who called it, which only a function of its own can ask for.
#define REC_ACCESS(name, does, bytes) \
  void __tsan_##name(void* address) { does(__builtin_return_address(0), address, bytes); }
// An atomic does its operation here. The emulation makes all of them by a load and an exchange that
// compares; the exchange is counted.
#define REC_ATOMIC(bits)                                                                          \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* p, int order) {        \
    return __atomic_load_n(p, order);                                                             \
  }                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile uint##bits##_t* p,                     \
                                                  uint##bits##_t* expected, uint##bits##_t value, \
                                                  int success, int failure) {                     \
    writes(__builtin_return_address(0), const_cast<uint##bits##_t*>(p), sizeof *p);               \
    return __atomic_compare_exchange_n(p, expected, value, true, success, failure);               \
  }                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_strong(                                              \
      volatile uint##bits##_t* p, uint##bits##_t* expected, uint##bits##_t value, int success,    \
      int failure) {                                                                              \
    writes(__builtin_return_address(0), const_cast<uint##bits##_t*>(p), sizeof *p);               \
    return __atomic_compare_exchange_n(p, expected, value, false, success, failure);              \
  }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}

REC_ACCESS(read1, reads, 1)
REC_ACCESS(read2, reads, 2)
REC_ACCESS(read4, reads, 4)
REC_ACCESS(read8, reads, 8)
REC_ACCESS(read16, reads, 16)
REC_ACCESS(write1, writes, 1)
REC_ACCESS(write2, writes, 2)
REC_ACCESS(write4, writes, 4)
REC_ACCESS(write8, writes, 8)
REC_ACCESS(write16, writes, 16)
REC_ACCESS(unaligned_read2, reads, 2)
REC_ACCESS(unaligned_read4, reads, 4)
REC_ACCESS(unaligned_read8, reads, 8)
REC_ACCESS(unaligned_read16, reads, 16)
REC_ACCESS(unaligned_write2, writes, 2)
REC_ACCESS(unaligned_write4, writes, 4)
REC_ACCESS(unaligned_write8, writes, 8)
REC_ACCESS(unaligned_write16, writes, 16)

void __tsan_read_range(void* address, size_t bytes) {
  reads(__builtin_return_address(0), address, bytes);
}
void __tsan_write_range(void* address, size_t bytes) {
  writes(__builtin_return_address(0), address, bytes);
}

REC_ATOMIC(32)
REC_ATOMIC(64)
void __tsan_atomic_thread_fence(int order) { __atomic_thread_fence(order); }

void* __real_memcpy(void* to, const void* from, size_t bytes);
void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  reads(__builtin_return_address(0), from, bytes);
  writes(__builtin_return_address(0), to, bytes);
  return __real_memcpy(to, from, bytes);
}
void* __real_memmove(void* to, const void* from, size_t bytes);
void* __wrap_memmove(void* to, const void* from, size_t bytes) {
  reads(__builtin_return_address(0), from, bytes);
  writes(__builtin_return_address(0), to, bytes);
  return __real_memmove(to, from, bytes);
}
void* __real_memset(void* to, int value, size_t bytes);
void* __wrap_memset(void* to, int value, size_t bytes) {
  writes(__builtin_return_address(0), to, bytes);
  return __real_memset(to, value, bytes);
}

}  // extern "C"
