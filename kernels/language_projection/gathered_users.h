// Users whose rows are made of, or shared out among, the rows of their items.
#pragma once
#include <cstdint>

#include "kernels/common/views.h"

namespace rec {

// Those of a list, or everyone.
struct GatheredUsers {
  int64_t count = 0;
  const int32_t* user = nullptr;  // [count]; null: the l-th is user l

  static constexpr GatheredUsers of(VectorView<const int32_t> list) {
    return {list.size, list.data};
  }
  static constexpr GatheredUsers everyone(const GraphView& graph) { return {graph.users()}; }

  constexpr int64_t operator[](int64_t l) const { return user == nullptr ? l : user[l]; }
};

}  // namespace rec
