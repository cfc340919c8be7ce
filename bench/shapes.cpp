#include "bench/shapes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <new>
#include <numeric>
#include <random>
#include <string>

namespace rec::bench {
namespace {

constexpr uint64_t kSeed = 20250;

// Of rank r among n, before scaling: a power law whose head is flattened, as real popularity is.
double popularity(int64_t rank) { return std::pow(double(rank) + 25.0, -0.9); }

test::HostGraph make_skewed_graph(const Shape& shape) {
  std::mt19937_64 random(kSeed);
  // degrees: one each, the rest shared out by weight, no history above half of the items
  std::vector<double> weight(static_cast<size_t>(shape.users));
  for (int64_t u = 0; u < shape.users; ++u) weight[size_t(u)] = popularity(u);
  std::shuffle(weight.begin(), weight.end(), random);
  const double mass = std::accumulate(weight.begin(), weight.end(), 0.0);
  const int64_t longest = shape.items / 2;
  std::vector<int64_t> degree(static_cast<size_t>(shape.users));
  int64_t left = shape.edges;
  for (size_t u = 0; u < degree.size(); ++u) {
    const double share = double(shape.edges - shape.users) * weight[u] / mass;
    degree[u] = std::min(longest, 1 + int64_t(share));
    left -= degree[u];
  }
  for (size_t u = 0; left > 0; u = (u + 1) % degree.size())
    if (degree[u] < longest) ++degree[u], --left;

  std::vector<double> item_weight(static_cast<size_t>(shape.items));
  for (int64_t i = 0; i < shape.items; ++i) item_weight[size_t(i)] = popularity(i);
  std::shuffle(item_weight.begin(), item_weight.end(), random);
  std::discrete_distribution<int32_t> draw(item_weight.begin(), item_weight.end());
  std::vector<std::vector<int32_t>> lists(degree.size());
  std::vector<int64_t> owner(static_cast<size_t>(shape.items), -1);
  for (size_t u = 0; u < lists.size(); ++u) {
    while (int64_t(lists[u].size()) < degree[u]) {
      const int32_t item = draw(random);
      if (owner[size_t(item)] == int64_t(u)) continue;
      owner[size_t(item)] = int64_t(u);
      lists[u].push_back(item);
    }
    std::sort(lists[u].begin(), lists[u].end());
  }
  return test::make_graph(shape.name, lists, shape.items);
}

}  // namespace

const test::HostGraph& graph_of(const Shape& shape) {
  static std::map<std::string, test::HostGraph> made;
  const auto found = made.find(shape.name);
  if (found != made.end()) return found->second;
  return made.emplace(shape.name, make_skewed_graph(shape)).first->second;
}

const std::vector<int32_t>& active_users_of(const Shape& shape) {
  static std::map<std::string, std::vector<int32_t>> made;
  std::vector<int32_t>& users = made[shape.name];
  if (users.empty()) {
    users.resize(static_cast<size_t>(shape.users));
    std::iota(users.begin(), users.end(), 0);
  }
  return users;
}

SamplerTables tables_of(const Shape& shape, SamplingRule rule) {
  return {graph_of(shape).view().items_of_user, {active_users_of(shape).data(), shape.users}, rule};
}

test::HostBatch empty_batch(const Shape& shape, int64_t negatives) {
  test::HostBatch batch;
  batch.name = shape.name;
  batch.users = shape.users;
  batch.items = shape.items;
  batch.negatives = negatives;
  batch.user.resize(size_t(shape.batch));
  batch.positive.resize(size_t(shape.batch));
  batch.negative.resize(size_t(shape.batch * negatives));
  batch.user_start.resize(size_t(shape.users + 1));
  batch.user_row.resize(size_t(shape.batch));
  batch.item_start.resize(size_t(shape.items + 1));
  batch.item_use.resize(size_t(shape.batch * (1 + negatives)));
  return batch;
}

test::HostBatch drawn_batch(const Shape& shape, int64_t negatives) {
  test::HostBatch batch = empty_batch(shape, negatives);
  TrainingClock clock;
  clock.seed = kSeed;
  cpu::draw_batch(tables_of(shape, SamplingRule::user), clock, 0, batch.view());
  return batch;
}

HostMatrix::HostMatrix(int64_t rows, int64_t cols) : rows_(rows), cols_(cols) {
  const size_t bytes = (size_t(rows * cols) * sizeof(float) + 63) / 64 * 64;
  data_.reset(static_cast<float*>(std::aligned_alloc(64, std::max<size_t>(bytes, 64))));
  if (!data_) throw std::bad_alloc();
  std::fill_n(data_.get(), rows * cols, 0.0f);
}

void HostMatrix::Free::operator()(float* p) const { std::free(p); }

HostMatrix HostMatrix::random(int64_t rows, int64_t cols, uint64_t seed) {
  HostMatrix made(rows, cols);
  std::minstd_rand random(uint32_t(seed % 2147483646 + 1));
  for (float& value : made.flat()) value = float(random()) * (2.0f / 2147483648.0f) - 1.0f;
  return made;
}

HostMatrix HostMatrix::random_unit_rows(int64_t rows, int64_t cols, uint64_t seed) {
  HostMatrix made = random(rows, cols, seed);
  for (int64_t r = 0; r < rows; ++r) {
    float* row = made.view().row(r);
    double square = 0;
    for (int64_t c = 0; c < cols; ++c) square += double(row[c]) * row[c];
    const float scale = float(1.0 / std::sqrt(square));
    for (int64_t c = 0; c < cols; ++c) row[c] *= scale;
  }
  return made;
}

}  // namespace rec::bench
