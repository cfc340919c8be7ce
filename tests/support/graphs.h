// Small graphs for tests, each with its own way of going wrong.
#pragma once
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/views.h"
#include "tests/support/values.h"

namespace rec::test {

// Owns both CSRs of a graph and the scales, on the host.
struct HostGraph {
  std::string name;
  Values<int64_t> user_start, item_start;
  Values<int32_t> item_of_edge, user_of_edge;
  Values<float> user_scale, item_scale;

  GraphView view() const {
    const int64_t users = int64_t(user_start.size()) - 1, items = int64_t(item_start.size()) - 1;
    return {{users, items, user_start.data(), item_of_edge.data()},
            {items, users, item_start.data(), user_of_edge.data()},
            {user_scale.data(), users},
            {item_scale.data(), items}};
  }
};

// lists[u]: u's items, sorted, no repeats.
inline HostGraph make_graph(std::string name, const std::vector<std::vector<int32_t>>& lists,
                            int64_t items) {
  HostGraph g;
  g.name = std::move(name);
  g.user_start.push_back(0);
  std::vector<std::vector<int32_t>> users_of(static_cast<size_t>(items));
  for (size_t u = 0; u < lists.size(); ++u) {
    for (int32_t i : lists[u]) {
      g.item_of_edge.push_back(i);
      users_of[size_t(i)].push_back(int32_t(u));
    }
    g.user_start.push_back(int64_t(g.item_of_edge.size()));
  }
  g.item_start.push_back(0);
  for (const auto& users : users_of) {
    g.user_of_edge.insert(g.user_of_edge.end(), users.begin(), users.end());
    g.item_start.push_back(int64_t(g.user_of_edge.size()));
  }
  const auto scale = [](int64_t degree) {
    return degree == 0 ? 0.0f : float(1.0 / std::sqrt(double(degree)));
  };
  for (size_t u = 0; u + 1 < g.user_start.size(); ++u)
    g.user_scale.push_back(scale(g.user_start[u + 1] - g.user_start[u]));
  for (size_t i = 0; i + 1 < g.item_start.size(); ++i)
    g.item_scale.push_back(scale(g.item_start[i + 1] - g.item_start[i]));
  end_memory_behind(g.user_start, g.item_start, g.item_of_edge, g.user_of_edge, g.user_scale,
                    g.item_scale);
  return g;
}

// Every user draws each item with a probability that falls with its id; the last item stays cold.
inline HostGraph random_graph(std::string name, int64_t users, int64_t items, double mean_degree,
                              uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  double mass = 0;
  for (int64_t i = 0; i + 1 < items; ++i) mass += 1.0 / double(i + 1);
  std::vector<std::vector<int32_t>> lists(static_cast<size_t>(users));
  for (auto& list : lists)
    for (int64_t i = 0; i + 1 < items; ++i)
      if (uniform(random) < mean_degree / mass / double(i + 1)) list.push_back(int32_t(i));
  return make_graph(std::move(name), lists, items);
}

// The graphs every graph kernel is tried on.
inline std::vector<HostGraph> awkward_graphs() {
  std::vector<HostGraph> graphs;
  graphs.push_back(make_graph("no nodes at all", {}, 0));
  graphs.push_back(make_graph("users without items, items without users", {{}, {}, {}}, 4));
  graphs.push_back(
      make_graph("a user with no items between two that have some", {{0, 2}, {}, {1, 2, 3}}, 5));
  graphs.push_back(make_graph("one edge", {{0}}, 1));
  std::vector<std::vector<int32_t>> star(700, {0});
  star[3] = {0, 1, 2};
  graphs.push_back(make_graph("one item nearly everyone has", star, 4));
  std::vector<int32_t> all(600);
  for (size_t i = 0; i < all.size(); ++i) all[i] = int32_t(i);
  graphs.push_back(make_graph("one user who has every item", {{1}, all, {0, 599}}, 600));
  graphs.push_back(random_graph("skewed, 300 users, 90 items", 300, 90, 6, 11));
  return graphs;
}

}  // namespace rec::test
