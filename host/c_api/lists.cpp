#include "host/c_api/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

namespace rec::c_api {
namespace {

template <class T>
void give(const std::vector<T>& values, const TopLists& lists, int64_t k, T filling, T* out) {
  if (out == nullptr) return;
  for (int64_t row = 0; row < lists.rows; ++row) {
    T* const end = std::copy_n(values.data() + row * lists.k, lists.k, out + row * k);
    std::fill(end, out + (row + 1) * k, filling);
  }
}

double* give(const std::vector<MetricValues>& at, double* out) {
  for (const MetricValues& values : at) out = std::copy(values.begin(), values.end(), out);
  return out;
}

}  // namespace

void require_list_length(int64_t k) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (k < 1 || k > kMost)
    throw std::invalid_argument(
        fmt::format("k: expected a number from 1 to {}, given {}", kMost, k));
}

void give_lists(const TopLists& lists, int64_t k, int32_t* out_item, float* out_score) {
  give(lists.item, lists, k, int32_t{-1}, out_item);
  give(lists.score, lists, k, -std::numeric_limits<float>::infinity(), out_score);
}

void give_metrics(const Evaluation& evaluation, double* out_mean, double* out_user,
                  int64_t* users) {
  give(evaluation.mean, out_mean);
  if (users != nullptr) *users = evaluation.users;
  if (out_user == nullptr) return;
  for (const UserResult& result : evaluation.per_user) out_user = give(result.at, out_user);
}

}  // namespace rec::c_api
