// Memory that a CPU kernel takes for the length of one call, uninitialised. It is taken before a
// parallel region: what is thrown inside one ends the program, and running out of memory should be
// a sentence.
#pragma once
#include <cstdint>
#include <memory>

namespace rec::cpu {

template <class T>
std::unique_ptr<T[]> make_scratch(int64_t count) {
  return std::make_unique_for_overwrite<T[]>(static_cast<size_t>(count));
}

}  // namespace rec::cpu
