// AlphaRec in plain double-precision loops: every node's language vector is made and projected,
// every edge visited, nothing rearranged. What the engine's models are held against.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/language_encoder.h"
#include "engine/representations.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "tests/support/batches.h"
#include "tests/support/small_data.h"

namespace rec::test {

// The engine's float32 against double precision: of an array's largest magnitude.
inline constexpr double kArrayBound = 5e-6;

// Users, then items; empty for a user without items: she has no language vector.
inline Rows node_vectors(const Lists& lists, const Rows& z) {
  Rows nodes;
  for (const auto& list : lists) {
    std::vector<double> mean(list.empty() ? 0 : z[0].size(), 0.0);
    for (int32_t i : list)
      for (size_t c = 0; c < mean.size(); ++c) mean[c] += z[size_t(i)][c] / double(list.size());
    nodes.push_back(std::move(mean));
  }
  nodes.insert(nodes.end(), z.begin(), z.end());
  return nodes;
}

// p: the parameter slab, laid out as `table` says.
inline std::vector<double> plain_project(const ProjectorShape& shape,
                                         const std::vector<ParameterInfo>& table,
                                         const std::vector<double>& p, std::vector<double> x) {
  size_t entry = 0;
  for (int l = 0; l < shape.layers; ++l) {
    const ParameterInfo& w = table[entry++];
    std::vector<double> y(static_cast<size_t>(w.rows), 0.0);
    if (!x.empty()) {
      for (int64_t r = 0; r < w.rows; ++r) {
        for (int64_t c = 0; c < w.cols; ++c)
          y[size_t(r)] += p[size_t(w.offset + r * w.cols + c)] * x[size_t(c)];
        if (shape.bias) y[size_t(r)] += p[size_t(table[entry].offset + r)];
      }
    }
    if (shape.bias) ++entry;
    if (l + 1 < shape.layers)
      for (double& value : y) value = value > 0 ? value : double(kLeakySlope) * value;
    x = std::move(y);
  }
  return x;
}

// A~ x
inline Rows plain_hop(const Lists& lists, const Rows& x) {
  const size_t users = lists.size();
  std::vector<double> degree(x.size(), 0.0);
  for (size_t u = 0; u < users; ++u)
    for (int32_t i : lists[u]) ++degree[u], ++degree[users + size_t(i)];
  Rows y(x.size(), std::vector<double>(x[0].size(), 0.0));
  for (size_t u = 0; u < users; ++u)
    for (int32_t i : lists[u]) {
      const size_t node = users + size_t(i);
      const double weight = 1.0 / std::sqrt(degree[u] * degree[node]);
      for (size_t c = 0; c < x[0].size(); ++c) {
        y[u][c] += weight * x[node][c];
        y[node][c] += weight * x[u][c];
      }
    }
  return y;
}

// A~^k x for k = 0 .. layers
inline std::vector<Rows> plain_layers(const Lists& lists, Rows x, int layers) {
  std::vector<Rows> all = {std::move(x)};
  for (int k = 0; k < layers; ++k) all.push_back(plain_hop(lists, all.back()));
  return all;
}

inline Rows plain_mean(const std::vector<Rows>& layers) {
  Rows mean(layers[0].size(), std::vector<double>(layers[0][0].size(), 0.0));
  for (const Rows& layer : layers)
    for (size_t r = 0; r < mean.size(); ++r)
      for (size_t c = 0; c < mean[r].size(); ++c) mean[r][c] += layer[r][c] / double(layers.size());
  return mean;
}

inline Rows plain_e0(const Lists& lists, const Rows& z, const ProjectorShape& shape,
                     const std::vector<ParameterInfo>& table, const std::vector<double>& p) {
  Rows e0;
  for (const auto& x : node_vectors(lists, z)) e0.push_back(plain_project(shape, table, p, x));
  return e0;
}

// The parameter slab of a node table, row by row.
inline Rows plain_node_table(int64_t dim, const std::vector<double>& p) {
  Rows e0;
  for (size_t first = 0; first < p.size(); first += size_t(dim))
    e0.emplace_back(p.begin() + ptrdiff_t(first), p.begin() + ptrdiff_t(first) + dim);
  return e0;
}

// weight / (2 B) times the squared lengths of the rows of e0 that the batch takes.
inline double plain_batch_l2(double weight, const Rows& e0, size_t users, const HostBatch& batch) {
  double sum = 0;
  const auto add_square = [&](size_t node) {
    for (double value : e0[node]) sum += value * value;
  };
  for (int64_t b = 0; b < batch.rows(); ++b) {
    add_square(size_t(batch.user[size_t(b)]));
    for (int64_t slot = 0; slot <= batch.negatives; ++slot)
      add_square(users + size_t(batch.item_of(b, slot)));
  }
  return weight / (2 * double(batch.rows())) * sum;
}

inline void plain_normalise(std::vector<double>& row) {
  double square = 0;
  for (double value : row) square += value * value;
  const double norm = std::max(std::sqrt(square), 1e-12);
  for (double& value : row) value /= norm;
}

// Whether both items are of one domain; without domains all are.
inline bool of_one_domain(const std::vector<Domain>& domains, int32_t a, int32_t b) {
  int64_t end = 0;
  for (const Domain& domain : domains) {
    end += domain.items;
    if (a < end || b < end) return a < end && b < end;
  }
  return true;
}

// The mean loss of the batch on e [users + items]; lists: the users' training items.
inline double plain_loss(const ObjectiveSettings& objective, Score score, Rows e,
                         const Lists& lists, const HostBatch& batch,
                         const std::vector<Domain>& domains = {}) {
  const size_t users = lists.size();
  if (score == Score::cosine)
    for (auto& row : e) plain_normalise(row);
  double loss = 0;
  for (int64_t b = 0; b < batch.rows(); ++b) {
    std::vector<double> scores;  // the positive's first
    const auto add_score = [&](int32_t item) {
      const auto &u = e[size_t(batch.user[size_t(b)])], &i = e[users + size_t(item)];
      double dot = 0;
      for (size_t c = 0; c < u.size(); ++c) dot += u[c] * i[c];
      scores.push_back(dot);
    };
    const int32_t own = batch.item_of(b, 0);
    add_score(own);
    if (objective.kind == Objective::softmax) {
      for (int32_t i = 0; i < batch.items; ++i)
        if (i != own && of_one_domain(domains, i, own)) add_score(i);
    } else if (objective.kind == Objective::inbatch) {
      const std::vector<int32_t>& hers = lists[size_t(batch.user[size_t(b)])];
      for (int32_t i : batch.positive)
        if (i != own && of_one_domain(domains, i, own) &&
            !std::binary_search(hers.begin(), hers.end(), i))
          add_score(i);
    } else {
      for (int64_t slot = 1; slot <= batch.negatives; ++slot) add_score(batch.item_of(b, slot));
    }
    if (objective.kind == Objective::bpr) {
      loss += std::log1p(std::exp(scores[1] - scores[0]));
    } else {
      double sum = 0;
      for (double s : scores) sum += std::exp((s - scores[0]) / double(objective.tau));
      loss += std::log(sum);
    }
  }
  return loss / double(batch.rows());
}

}  // namespace rec::test
