#include "engine/graph.h"

#include <cmath>
#include <vector>

#include "engine/host_csr.h"

namespace rec {
namespace {

// degree^-1/2 of every row; 0 where there is no edge, so that an isolated node passes nothing on.
std::vector<float> inverse_root_degrees(CsrView m) {
  std::vector<float> scale(static_cast<size_t>(m.rows));
  for (int64_t r = 0; r < m.rows; ++r) {
    const int64_t degree = m.degree(r);
    scale[static_cast<size_t>(r)] =
        degree == 0 ? 0.0f : static_cast<float>(1.0 / std::sqrt(static_cast<double>(degree)));
  }
  return scale;
}

}  // namespace

Graph::Graph(Backend& backend, CsrView train)
    : users_(train.rows),
      items_(train.cols),
      user_start_(backend, train.row_start, train.rows + 1),
      item_of_edge_(backend, train.col, train.row_start[train.rows]),
      user_scale_(backend, inverse_root_degrees(train)) {
  const HostCsr by_item = transpose(train);
  item_start_ = Array<int64_t>(backend, by_item.row_start);
  user_of_edge_ = Array<int32_t>(backend, by_item.col);
  item_scale_ = Array<float>(backend, inverse_root_degrees(by_item.view()));

  std::vector<int32_t> active;
  for (int64_t u = 0; u < users_; ++u)
    if (train.degree(u) > 0) active.push_back(static_cast<int32_t>(u));
  active_user_ = Array<int32_t>(backend, active);
}

GraphView Graph::view() const {
  return {{users_, items_, user_start_.data(), item_of_edge_.data()},
          {items_, users_, item_start_.data(), user_of_edge_.data()},
          user_scale_.view(),
          item_scale_.view()};
}

DeviceCsr::DeviceCsr(Backend& backend, CsrView host)
    : rows_(host.rows),
      cols_(host.cols),
      row_start_(backend, host.row_start, host.rows + 1),
      col_(backend, host.col, host.row_start[host.rows]) {}

}  // namespace rec
