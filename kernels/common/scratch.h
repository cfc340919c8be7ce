// Memory that a CPU kernel takes for the length of one call, uninitialised and aligned to a cache
// line. It is taken before a parallel region: what is thrown inside one ends the program, and
// running out of memory should be a sentence.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

namespace rec::cpu {

inline constexpr std::align_val_t kScratchAlignment{64};

struct FreeScratch {
  void operator()(void* p) const { ::operator delete(p, kScratchAlignment); }
};
template <class T>
using Scratch = std::unique_ptr<T[], FreeScratch>;

template <class T>
Scratch<T> make_scratch(int64_t count) {
  static_assert(std::is_trivial_v<T>);
  return Scratch<T>(
      static_cast<T*>(::operator new(sizeof(T) * static_cast<size_t>(count), kScratchAlignment)));
}

}  // namespace rec::cpu
