// What is refused of arrays that a caller outside hands to the engine, which itself looks at shapes alone: the Python
// package and the C API ask here.
//
// All throw std::invalid_argument, one sentence: the argument's name, what is expected and what was given.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/operations.h"
#include "kernels/common/views.h"

namespace rec {

// Offsets from 0 to entries that ascend, of rows and columns that 32-bit ids can number.
void require_offsets(CsrView csr, int64_t entries, const std::string& name);

// What a caller can do about it, put behind the sentences; "" for nothing.
struct OrderAdvice {
  std::string_view unsorted, repeated;
};
// Items in range, ascending within each row, and once each unless repeats are taken. Offsets must hold.
void require_sorted_items(CsrView csr, bool repeats, const std::string& name,
                          const OrderAdvice& advice = {});
void require_covers(CsrView csr, const std::string& name, MatrixView<const float> user,
                    MatrixView<const float> item);

// of: what the ids number, "users".
[[noreturn]] void refuse_id(int64_t id, const char* name, const char* of, int64_t count);
inline void require_id(int64_t id, const char* name, const char* of, int64_t count) {
  if (id < 0 || id >= count) refuse_id(id, name, of, count);
}

// Vectors of one width, which is not 0.
void require_same_width(MatrixView<const float> user, MatrixView<const float> item);
// of: what of a graph the rows are for, "items".
void require_rows(MatrixView<const float> x, const char* name, int64_t rows, const char* of);
// Rows, negatives and tau; ids are not looked at.
void require_batch(const BatchIds& ids, const BatchLossSettings& settings);

}  // namespace rec
