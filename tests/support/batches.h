// Batches for tests, grouped by user and by item the plain way.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/sampler/sampler.h"
#include "tests/support/guarded_matrix.h"

namespace rec::test {

// Owns a batch's arrays on the host.
struct HostBatch {
  std::string name;
  int64_t users = 0, items = 0, negatives = 0;
  Values<int32_t> user, positive, negative;
  Values<int64_t> user_start, item_start;
  Values<int32_t> user_row, item_use;

  int64_t rows() const { return int64_t(user.size()); }
  int32_t item_of(int64_t b, int64_t slot) const {
    return slot == 0 ? positive[size_t(b)] : negative[size_t(b * negatives + slot - 1)];
  }
  BatchView view() {
    BatchView v;
    v.user = {user.data(), rows()};
    v.positive = {positive.data(), rows()};
    v.negative = {negative.data(), rows(), negatives};
    v.user_start = {user_start.data(), users + 1};
    v.user_row = {user_row.data(), rows()};
    v.item_start = {item_start.data(), items + 1};
    v.item_use = {item_use.data(), int64_t(item_use.size())};
    return v;
  }
};

// negative: row-major [rows, negatives]
inline HostBatch make_batch(std::string name, int64_t users, int64_t items, int64_t negatives,
                            Values<int32_t> user, Values<int32_t> positive,
                            Values<int32_t> negative) {
  HostBatch batch;
  batch.name = std::move(name);
  batch.users = users;
  batch.items = items;
  batch.negatives = negatives;
  batch.user = std::move(user);
  batch.positive = std::move(positive);
  batch.negative = std::move(negative);
  std::vector<std::vector<int32_t>> rows_of(static_cast<size_t>(users));
  std::vector<std::vector<int32_t>> uses_of(static_cast<size_t>(items));
  for (int64_t b = 0; b < batch.rows(); ++b) {
    rows_of[size_t(batch.user[size_t(b)])].push_back(int32_t(b));
    for (int64_t slot = 0; slot <= negatives; ++slot)
      uses_of[size_t(batch.item_of(b, slot))].push_back(int32_t(b * (1 + negatives) + slot));
  }
  const auto flatten = [](const std::vector<std::vector<int32_t>>& lists, Values<int64_t>& start,
                          Values<int32_t>& values) {
    start.push_back(0);
    for (const auto& list : lists) {
      values.insert(values.end(), list.begin(), list.end());
      start.push_back(int64_t(values.size()));
    }
  };
  flatten(rows_of, batch.user_start, batch.user_row);
  flatten(uses_of, batch.item_start, batch.item_use);
  end_memory_behind(batch.user, batch.positive, batch.negative, batch.user_start, batch.item_start,
                    batch.user_row, batch.item_use);
  return batch;
}

// Users and items drawn uniformly: with few of them, they repeat within rows and between rows.
inline HostBatch random_batch(std::string name, int64_t users, int64_t items, int64_t rows,
                              int64_t negatives, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto draw = [&](int64_t count, int64_t below) {
    std::uniform_int_distribution<int32_t> uniform(0, int32_t(below - 1));
    Values<int32_t> values(static_cast<size_t>(count));
    for (int32_t& value : values) value = uniform(random);
    return values;
  };
  Values<int32_t> user = draw(rows, users);
  Values<int32_t> positive = draw(rows, items);
  Values<int32_t> negative = draw(rows * negatives, items);
  return make_batch(std::move(name), users, items, negatives, std::move(user), std::move(positive),
                    std::move(negative));
}

// Owns what an objective makes of a batch, with guards around both matrices.
struct HostBatchGradient {
  GuardedMatrix score, user_row;
  Values<double> row_loss;

  HostBatchGradient(const HostBatch& batch, int64_t dim, int64_t score_padding = 3)
      : score(batch.rows(), 1 + batch.negatives, score_padding),
        user_row(batch.rows(), dim),
        row_loss(static_cast<size_t>(batch.rows()), -1e300) {}

  BatchGradientView view() {
    BatchGradientView v;
    v.score = score.view();
    v.user_row = user_row.view();
    v.row_loss = {row_loss.data(), int64_t(row_loss.size())};
    return v;
  }
};

}  // namespace rec::test
