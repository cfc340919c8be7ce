// Language vectors arranged as language_projection takes them, the plain way.
#pragma once
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/language_projection/language_projection.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/values.h"

namespace rec::test {

// A hybrid threshold that no history exceeds: every user is light.
inline constexpr int64_t kNobodyHeavy = std::numeric_limits<int64_t>::max();

// Owns what a LanguageView has beside the items' vectors, which stay the caller's.
struct HostLanguage {
  MatrixView<const float> item;
  GuardedMatrix heavy;
  Values<int32_t> heavy_user, light_user;
  Values<int64_t> light_start;
  Values<int32_t> light_user_of_item;
  int64_t users = 0;

  LanguageView view() const {
    LanguageView v;
    v.item = item;
    v.heavy = heavy.view();
    v.heavy_user = {heavy_user.data(), int64_t(heavy_user.size())};
    v.light_user = {light_user.data(), int64_t(light_user.size())};
    v.light_users_of_item = {item.rows, users, light_start.data(), light_user_of_item.data()};
    return v;
  }
};

// Users with more than hybrid_degree items keep their mean vector;
// the other users who have items are light.
inline HostLanguage make_language(const GraphView& graph, MatrixView<const float> item,
                                  int64_t hybrid_degree) {
  Values<int32_t> heavy_user, light_user;
  for (int64_t u = 0; u < graph.users(); ++u)
    if (graph.items_of_user.degree(u) > 0)
      (graph.items_of_user.degree(u) > hybrid_degree ? heavy_user : light_user)
          .push_back(int32_t(u));
  GuardedMatrix heavy(int64_t(heavy_user.size()), item.cols);
  for (size_t h = 0; h < heavy_user.size(); ++h) {
    const int32_t* items = graph.items_of_user.row(heavy_user[h]);
    const int64_t degree = graph.items_of_user.degree(heavy_user[h]);
    for (int64_t d = 0; d < item.cols; ++d) {
      double sum = 0;
      for (int64_t j = 0; j < degree; ++j) sum += item(items[j], d);
      heavy.view()(int64_t(h), d) = float(sum / double(degree));
    }
  }
  Values<int64_t> light_start = {0};
  Values<int32_t> light_user_of_item;
  for (int64_t i = 0; i < graph.items(); ++i) {
    const int32_t* users = graph.users_of_item.row(i);
    for (int64_t j = 0; j < graph.users_of_item.degree(i); ++j)
      if (graph.items_of_user.degree(users[j]) <= hybrid_degree)
        light_user_of_item.push_back(users[j]);
    light_start.push_back(int64_t(light_user_of_item.size()));
  }
  end_memory_behind(heavy_user, light_user, light_start, light_user_of_item);
  return {item,
          std::move(heavy),
          std::move(heavy_user),
          std::move(light_user),
          std::move(light_start),
          std::move(light_user_of_item),
          graph.users()};
}

}  // namespace rec::test
