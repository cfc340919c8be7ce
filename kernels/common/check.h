// What a kernel refuses: one sentence, thrown, never an abort.
#pragma once
#include <stdexcept>

namespace rec {

// Wrong use of a public function. The sentence names the kernel and what must match.
inline void require(bool holds, const char* sentence) {
  if (!holds) throw std::invalid_argument(sentence);
}

}  // namespace rec
