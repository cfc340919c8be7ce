// Small datasets in memory: interactions and language vectors, with a user who has no training
// item, a cold item, and histories on both sides of the CPU backend's hybrid threshold.
#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "engine/host_csr.h"
#include "kernels/common/views.h"

namespace rec::test {

using Lists = std::vector<std::vector<int32_t>>;  // a user's items, ascending
using Rows = std::vector<std::vector<double>>;

inline HostCsr csr_of(const Lists& lists, int64_t items) {
  HostCsr m;
  m.rows = int64_t(lists.size());
  m.cols = items;
  for (const auto& list : lists) {
    m.col.insert(m.col.end(), list.begin(), list.end());
    m.row_start.push_back(int64_t(m.col.size()));
  }
  return m;
}

struct SmallData {
  int64_t items = 0, width = 0;
  Lists lists;
  HostCsr train;
  std::vector<float> z;  // [items, width]

  int64_t users() const { return int64_t(lists.size()); }
  MatrixView<const float> language() const { return {z.data(), items, width}; }
  Rows language_rows() const {
    Rows rows;
    for (int64_t i = 0; i < items; ++i)
      rows.emplace_back(language().row(i), language().row(i) + width);
    return rows;
  }
};

// User 1 has no item, user 2 nearly all of them, the last item nobody;
// the others have 1 to 5 items.
inline SmallData small_data(uint64_t seed, int64_t users = 12, int64_t items = 10,
                            int64_t width = 8) {
  std::mt19937_64 random(seed);
  SmallData data;
  data.items = items;
  data.width = width;
  std::vector<int32_t> order(static_cast<size_t>(items - 1));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t u = 0; u < users; ++u) {
    std::shuffle(order.begin(), order.end(), random);
    const int64_t count = u == 1 ? 0 : u == 2 ? items - 2 : 1 + int64_t(random() % 5);
    std::vector<int32_t> list(order.begin(), order.begin() + count);
    std::sort(list.begin(), list.end());
    data.lists.push_back(std::move(list));
  }
  data.train = csr_of(data.lists, items);
  std::normal_distribution<float> normal;
  data.z.resize(size_t(items * width));
  for (float& value : data.z) value = normal(random);
  return data;
}

// Both as domains of one dataset.
inline SmallData joined(const SmallData& a, const SmallData& b) {
  SmallData both = a;
  both.items = a.items + b.items;
  for (std::vector<int32_t> list : b.lists) {
    for (int32_t& i : list) i += int32_t(a.items);
    both.lists.push_back(std::move(list));
  }
  both.z.insert(both.z.end(), b.z.begin(), b.z.end());
  both.train = csr_of(both.lists, both.items);
  return both;
}

}  // namespace rec::test
