#include <cstddef>
#include <cstdint>

#include "tests/fuzz/readers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rec::test::fuzz_sources({reinterpret_cast<const char*>(data), size});
  return 0;
}
