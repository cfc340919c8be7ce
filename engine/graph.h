// The training graph in a backend's memory.
#pragma once
#include <cstdint>

#include "engine/backend.h"
#include "engine/buffer.h"
#include "kernels/common/views.h"

namespace rec {

class Graph {
 public:
  // train (host): [users, items], sorted rows. An item that stands in a row several times is as
  // many edges.
  Graph(Backend& backend, CsrView train);

  GraphView view() const;
  int64_t users() const { return users_; }
  int64_t items() const { return items_; }
  int64_t nodes() const { return users_ + items_; }
  int64_t edges() const { return item_of_edge_.size(); }
  // Users with at least one training item, ascending, in backend memory.
  VectorView<const int32_t> active_users() const { return active_user_.view(); }

 private:
  int64_t users_, items_;
  Array<int64_t> user_start_, item_start_;
  Array<int32_t> item_of_edge_, user_of_edge_;
  Array<float> user_scale_, item_scale_;
  Array<int32_t> active_user_;
};

// A CSR copied into backend memory: a mask for ranking, for example.
class DeviceCsr {
 public:
  DeviceCsr(Backend& backend, CsrView host);
  CsrView view() const { return {rows_, cols_, row_start_.data(), col_.data()}; }

 private:
  int64_t rows_, cols_;
  Array<int64_t> row_start_;
  Array<int32_t> col_;
};

}  // namespace rec
