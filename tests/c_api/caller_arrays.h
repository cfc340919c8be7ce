// What the tests of the C API share: a small graph, vectors and a dataset, as rec.h takes them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/host_csr.h"
#include "host/c_api/rec.h"

namespace rec::test {

inline rec_csr c_csr(const HostCsr& csr) {
  return {csr.rows, csr.cols, csr.entries(), csr.row_start.data(), csr.col.data()};
}

inline rec_matrix c_matrix(const std::vector<float>& values, int64_t cols) {
  return {values.data(), int64_t(values.size()) / cols, cols, 0};
}

// 8 users, 12 items: user u has train items u, u + 1, u + 2, a valid item u + 3 and a test item u + 4.
struct CallerArrays {
  static constexpr int64_t kUsers = 8, kItems = 12, kWidth = 5;

  CallerArrays() {
    for (HostCsr* split : {&train, &valid, &test}) split->cols = kItems;
    for (int32_t u = 0; u < kUsers; ++u) {
      add_row(train, {u, u + 1, u + 2});
      add_row(valid, {u + 3});
      add_row(test, {u + 4});
    }
    for (int64_t i = 0; i < (kUsers + kItems) * kWidth; ++i)
      vectors.push_back(float((i * 37 + i / 3 * 11) % 29 - 14) / 7 + 0.01f);
    user.assign(vectors.begin(), vectors.begin() + kUsers * kWidth);
    item.assign(vectors.begin() + kUsers * kWidth, vectors.end());
  }

  rec_vectors c_vectors(rec_score score) const {
    return {c_matrix(user, kWidth), c_matrix(item, kWidth), score};
  }
  rec_arrays c_arrays() const {
    rec_arrays arrays{};
    arrays.train = c_csr(train);
    arrays.valid = c_csr(valid);
    arrays.test = c_csr(test);
    arrays.language = c_matrix(item, kWidth);
    return arrays;
  }

  HostCsr train, valid, test;
  std::vector<float> vectors, user, item;  // [users + items, width], and its two parts
};

// Settings of a training that takes milliseconds.
inline const std::vector<const char*> kQuick = {"width=3",     "hidden=4",         "batch=4",
                                                "negatives=2", "epochs=2",         "eval_every=1",
                                                "topk=2",      "monitor=recall@2", "threads=1"};

}  // namespace rec::test
