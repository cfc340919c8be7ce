// argsort: the order in which keys ascend.
//
//   sorted_key[p] = key[order[p]], ascending; equal keys keep their order: order[p] < order[p + 1]
//
// A stable radix sort, 8 bits of the keys a pass. Integers only, so repeatable.
// Test: tests/kernels/test_argsort.cpp   How it works: docs/kernels/sampler.md
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/common/stream.h"
#include "kernels/common/views.h"

namespace rec::cuda {

int64_t argsort_scratch_bytes(int64_t count);

// key [count], count below 2^31: each in [0, 2^key_bits), key_bits in [0, 31]; sorted_key, order
// [count] overwritten. None may overlap another. The fewer bits, the fewer passes.
void argsort(VectorView<const int32_t> key, int key_bits, VectorView<int32_t> sorted_key,
             VectorView<int32_t> order, VectorView<std::byte> scratch, Stream stream);

}  // namespace rec::cuda
