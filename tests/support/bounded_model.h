// AlphaRec in double precision with a bound on what a backend of reduced precision may differ by,
// value for value: every operand that is rounded, every value that is stored rounded and every
// float32 sum adds its own error to those of its inputs.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/language_encoder.h"
#include "kernels/adam/adam.h"
#include "kernels/common/bf16.h"
#include "kernels/common/precision.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "kernels/normalisation/normalisation.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/closeness.h"
#include "tests/support/small_data.h"

namespace rec::test {

// A value, and how far what a backend computes may be from it.
struct Bounded {
  double value = 0, error = 0;

  double most() const { return std::abs(value) + error; }
  Bounded rounded(double share) const { return {value, error + share * most()}; }
};
using BoundedRow = std::vector<Bounded>;
using BoundedRows = std::vector<BoundedRow>;

// A float32 sum of products.
class BoundedSum {
 public:
  void add(Bounded a, Bounded b = {1, 0}) {
    value_ += a.value * b.value;
    error_ += std::abs(a.value) * b.error + std::abs(b.value) * a.error + a.error * b.error;
    magnitude_ += a.most() * b.most();
    ++terms_;
  }
  // more: roundings on a term's way beside those of the sum.
  Bounded result(int64_t more = 0) const {
    return {value_, error_ + rounding_bound(terms_ + more, magnitude_)};
  }

 private:
  double value_ = 0, error_ = 0, magnitude_ = 0;
  int64_t terms_ = 0;
};

// What a precision rounds, each as a share of the value.
struct Roundings {
  double operand = 0;         // of a product, which is not stored rounded
  double stored = 0;          // of what lies between the projector's layers
  double stored_operand = 0;  // of a product, where it is that

  explicit Roundings(Precision precision) {
    // A GPU may cut the 13 bits that tf32 drops instead of rounding them.
    if (precision == Precision::tf32) operand = stored_operand = 0x1p-10;
    if (precision == Precision::bf16) operand = stored = double(kBf16Rounding);
  }
};

struct BoundedParameters {
  ProjectorShape shape;
  std::vector<BoundedRows> weight;  // of each layer, [out][in]
  std::vector<BoundedRow> bias;     // [out], or empty
};

class BoundedModel {
 public:
  double slope = kLeakySlope;

  // degree: users with more items are rows of the first layer's product.
  BoundedModel(const Lists& lists, const Rows& z, BoundedParameters parameters, int layers,
               int64_t degree, Precision precision)
      : lists_(lists),
        users_(lists.size()),
        p_(std::move(parameters)),
        layers_(layers),
        degree_(degree),
        round_(precision) {
    for (const auto& row : z) z_.push_back(exact(row));
    edges_of_node_.resize(users_ + z.size());
    for (size_t u = 0; u < users_; ++u)
      for (int32_t i : lists[u]) {
        edges_of_node_[u].push_back(users_ + size_t(i));
        edges_of_node_[users_ + size_t(i)].push_back(u);
      }
  }

  static BoundedRow exact(const std::vector<double>& row) {
    BoundedRow bounded;
    for (double value : row) bounded.push_back({value, 0});
    return bounded;
  }

  // e / |e|, and |e| into norm, which is never 0. A change of e by less than |de| changes |e| by no more.
  static BoundedRow normalised(const BoundedRow& row, BoundedRow& norm) {
    double square = 0, error_square = 0;
    for (Bounded x : row) square += x.value * x.value, error_square += x.error * x.error;
    const double length = std::max(std::sqrt(square), double(kSmallestNorm));
    const double roundings = double(row.size() + 4) * std::numeric_limits<float>::epsilon();
    const double length_error = std::sqrt(error_square) + roundings * length;
    const double least = length - length_error;
    norm.push_back({length, length_error});
    BoundedRow unit;
    for (Bounded x : row)
      unit.push_back({x.value / length,
                      (x.error + std::abs(x.value / length) * length_error) / least + roundings});
    return unit;
  }

  // e0 and e
  void forward() {
    const bool deep = p_.shape.layers > 1;
    BoundedRows pre(nodes());
    for (size_t i = 0; i < z_.size(); ++i) pre[users_ + i] = first_layer(z_[i], deep);
    for (size_t u = 0; u < users_; ++u) {
      if (lists_[u].empty())
        pre[u].resize(p_.weight[0].size());
      else if (is_heavy(u))
        pre[u] = first_layer(mean_vector(u), deep);
      else
        pre[u] = mean_of_items(pre, u, deep);
    }
    pre_.clear();
    act_.clear();
    for (size_t l = 1; l < p_.weight.size(); ++l) {
      pre_.push_back(pre);
      for (BoundedRow& row : pre)
        for (Bounded& x : row) x = leaky(x);
      act_.push_back(pre);
      const bool is_stored = l + 1 < p_.weight.size();
      for (BoundedRow& row : pre) {
        row = layer(row, l, round_.stored_operand, 0);
        for (Bounded& x : row) x = x.rounded(is_stored ? round_.stored : 0);
      }
    }
    e0 = std::move(pre);
    e = propagate(e0);
  }

  // The loss's bounds and grad_e, grad_e0 and the parameters' gradients. On the unit vectors of e.
  void backward(const ObjectiveSettings& objective, const HostBatch& batch) {
    BoundedRow norm;
    BoundedRows n;
    for (const BoundedRow& row : e) n.push_back(normalised(row, norm));
    BoundedRows grad_n(nodes(), BoundedRow(e[0].size()));
    std::vector<std::vector<BoundedSum>> sums(nodes(), std::vector<BoundedSum>(e[0].size()));
    std::vector<int64_t> rows_of(nodes(), 0);
    loss = {};
    for (int64_t b = 0; b < batch.rows(); ++b) {
      const size_t user = size_t(batch.user[size_t(b)]);
      BoundedRow score;
      for (int64_t slot = 0; slot <= batch.negatives; ++slot)
        score.push_back(dot(n[user], n[users_ + size_t(batch.item_of(b, slot))]));
      const Bounded row_loss = loss_of(objective, score);
      loss.value += row_loss.value / double(batch.rows());
      loss.error += row_loss.error / double(batch.rows());
      for (int64_t slot = 0; slot <= batch.negatives; ++slot) {
        const Bounded g = score_gradient(objective, score, size_t(slot), double(batch.rows()));
        const size_t item = users_ + size_t(batch.item_of(b, slot));
        for (size_t c = 0; c < e[0].size(); ++c) {
          sums[user][c].add(g, n[item][c]);
          sums[item][c].add(g, n[user][c]);
        }
      }
    }
    grad_e.assign(nodes(), {});
    for (size_t r = 0; r < nodes(); ++r) {
      for (size_t c = 0; c < e[0].size(); ++c) grad_n[r][c] = sums[r][c].result(4);
      grad_e[r] = gradient_through_norm(n[r], norm[r], grad_n[r]);
    }
    grad_e0 = propagate(grad_e);
    projector_gradient();
  }

  BoundedRows e0, e, grad_e, grad_e0;
  Bounded loss;
  std::vector<BoundedRows> grad_weight;
  std::vector<BoundedRow> grad_bias;

 private:
  static Bounded dot(const BoundedRow& a, const BoundedRow& b) {
    BoundedSum sum;
    for (size_t c = 0; c < a.size(); ++c) sum.add(a[c], b[c]);
    return sum.result();
  }

  size_t nodes() const { return edges_of_node_.size(); }
  bool is_heavy(size_t u) const { return int64_t(lists_[u].size()) > degree_; }

  BoundedRow mean_vector(size_t u) const {
    std::vector<double> mean(z_[0].size(), 0.0);
    for (int32_t i : lists_[u])
      for (size_t d = 0; d < mean.size(); ++d)
        mean[d] += z_[size_t(i)][d].value / double(lists_[u].size());
    BoundedRow row = exact(mean);
    for (Bounded& x : row) x = x.rounded(std::numeric_limits<float>::epsilon());
    return row;
  }

  // W x + b with rounded operands.
  BoundedRow layer(const BoundedRow& x, size_t l, double rounding_of_x,
                   double rounding_of_bias) const {
    BoundedRow y;
    for (size_t o = 0; o < p_.weight[l].size(); ++o) {
      BoundedSum sum;
      if (!p_.bias[l].empty()) sum.add(p_.bias[l][o].rounded(rounding_of_bias));
      for (size_t d = 0; d < x.size(); ++d)
        sum.add(x[d].rounded(rounding_of_x), p_.weight[l][o][d].rounded(round_.operand));
      y.push_back(sum.result());
    }
    return y;
  }
  BoundedRow first_layer(const BoundedRow& x, bool is_stored) const {
    BoundedRow y = layer(x, 0, round_.operand, is_stored ? round_.stored : 0);
    for (Bounded& value : y) value = value.rounded(is_stored ? round_.stored : 0);
    return y;
  }
  BoundedRow mean_of_items(const BoundedRows& pre, size_t u, bool is_stored) const {
    BoundedRow y;
    const double degree = double(lists_[u].size());
    for (size_t o = 0; o < p_.weight[0].size(); ++o) {
      BoundedSum sum;
      for (int32_t i : lists_[u]) sum.add(pre[users_ + size_t(i)][o], {1 / degree, 0});
      y.push_back(sum.result(2).rounded(is_stored ? round_.stored : 0));
    }
    return y;
  }

  // Monotone: between the images of the ends. What is not positive is rounded once more.
  Bounded leaky(Bounded x) const {
    const auto at = [&](double v) { return v > 0 ? v : slope * v; };
    const Bounded y{at(x.value), std::max(at(x.value + x.error) - at(x.value),
                                          at(x.value) - at(x.value - x.error))};
    const bool stays = x.value - x.error > 0;
    return stays ? y : y.rounded(round_.stored + std::numeric_limits<float>::epsilon());
  }

  // A~ x: scaled by degree^-1/2 before and after.
  BoundedRows hop(const BoundedRows& x) const {
    BoundedRows y(nodes(), BoundedRow(x[0].size()));
    for (size_t r = 0; r < nodes(); ++r)
      for (size_t c = 0; c < x[0].size(); ++c) {
        BoundedSum sum;
        for (size_t other : edges_of_node_[r])
          sum.add(x[other][c], {1 / std::sqrt(double(edges_of_node_[r].size()) *
                                              double(edges_of_node_[other].size())),
                                0});
        y[r][c] = sum.result(4);
      }
    return y;
  }
  BoundedRows propagate(BoundedRows x) const {
    std::vector<std::vector<BoundedSum>> sums(nodes(), std::vector<BoundedSum>(x[0].size()));
    const double share = 1.0 / double(layers_ + 1);
    for (int k = 0; k <= layers_; ++k) {
      for (size_t r = 0; r < nodes(); ++r)
        for (size_t c = 0; c < x[0].size(); ++c) sums[r][c].add(x[r][c], {share, 0});
      if (k < layers_) x = hop(x);
    }
    for (size_t r = 0; r < nodes(); ++r)
      for (size_t c = 0; c < x[0].size(); ++c) x[r][c] = sums[r][c].result(1);
    return x;
  }

  // (g - n (n . g)) / |e|
  static BoundedRow gradient_through_norm(const BoundedRow& n, Bounded norm, const BoundedRow& g) {
    const Bounded along = dot(n, g);
    BoundedRow grad;
    for (size_t c = 0; c < n.size(); ++c) {
      BoundedSum sum;
      sum.add(g[c]);
      sum.add({-n[c].value, n[c].error}, along);
      const Bounded across = sum.result(2);
      const double value = across.value / norm.value;
      grad.push_back(
          {value, (across.error + std::abs(value) * norm.error) / (norm.value - norm.error)});
    }
    return grad;
  }

  // Both losses rise with every negative's score and fall with the positive's, so that the ends of
  // the scores give the ends of the loss; the same holds of each of their derivatives.
  static double at(const BoundedRow& score, size_t slot, double sign) {
    return score[slot].value + sign * score[slot].error;
  }
  static double loss_at(const ObjectiveSettings& objective, const BoundedRow& score, double sign) {
    if (objective.kind == Objective::bpr)
      return std::log1p(std::exp(at(score, 1, sign) - at(score, 0, -sign)));
    double sum = 1;
    for (size_t j = 1; j < score.size(); ++j)
      sum += std::exp((at(score, j, sign) - at(score, 0, -sign)) / double(objective.tau));
    return std::log(sum);
  }
  static double softmax_at(const ObjectiveSettings& objective, const BoundedRow& score, size_t slot,
                           double sign) {
    double sum = 0;
    for (size_t j = 0; j < score.size(); ++j)
      sum += std::exp((at(score, j, j == slot ? sign : -sign) - at(score, slot, sign)) /
                      double(objective.tau));
    return 1 / sum;
  }
  template <class F>
  static Bounded between(F f, double roundings) {
    const double value = f(0.0);
    const double error = std::max(std::abs(f(1.0) - value), std::abs(value - f(-1.0)));
    return Bounded{value, error}.rounded(roundings);
  }
  // exp's argument is at most a few tens, so its rounding is worth as many epsilons.
  static double roundings_of(const BoundedRow& score) {
    return double(score.size() + 32) * std::numeric_limits<float>::epsilon();
  }
  static Bounded loss_of(const ObjectiveSettings& objective, const BoundedRow& score) {
    return between([&](double sign) { return loss_at(objective, score, sign); },
                   roundings_of(score));
  }
  // d loss / d score[slot]; the positive's is minus the sum of the others.
  static Bounded score_gradient(const ObjectiveSettings& objective, const BoundedRow& score,
                                size_t slot, double rows) {
    if (objective.kind == Objective::bpr)
      return between(
          [&](double sign) {
            const double g = 1 / (1 + std::exp(at(score, 0, -sign) - at(score, 1, sign))) / rows;
            return slot == 0 ? -g : g;
          },
          roundings_of(score));
    return between(
        [&](double sign) {
          const double p = softmax_at(objective, score, slot, sign);
          return (slot == 0 ? p - 1 : p) / (double(objective.tau) * rows);
        },
        roundings_of(score));
  }

  void projector_gradient() {
    grad_weight.clear();
    grad_bias.clear();
    BoundedRows grad_pre = grad_e0;
    const bool deep = p_.shape.layers > 1;
    for (size_t l = p_.weight.size() - 1; l >= 1; --l) {
      const bool is_last = l + 1 == p_.weight.size();
      const double rounding = is_last ? round_.operand : round_.stored_operand;
      grad_weight.insert(grad_weight.begin(),
                         product(grad_pre, rounding, act_[l - 1], round_.stored_operand));
      grad_bias.insert(grad_bias.begin(), column_sums(grad_pre));
      for (size_t r = 0; r < nodes(); ++r)
        grad_pre[r] = through_layer(grad_pre[r], rounding, l, pre_[l - 1][r]);
    }
    // G, and the heavy users' own rows.
    BoundedRows g, x;
    for (size_t i = 0; i < z_.size(); ++i) {
      BoundedRow row;
      for (size_t o = 0; o < grad_pre[0].size(); ++o) {
        BoundedSum sum;
        sum.add(grad_pre[users_ + i][o]);
        for (size_t u : edges_of_node_[users_ + i])
          if (!is_heavy(u)) sum.add(grad_pre[u][o], {1.0 / double(lists_[u].size()), 0});
        row.push_back(sum.result(2).rounded(round_.stored));
      }
      g.push_back(row);
      x.push_back(z_[i]);
    }
    for (size_t u = 0; u < users_; ++u)
      if (is_heavy(u)) {
        g.push_back(grad_pre[u]);
        if (!deep)
          for (Bounded& value : g.back()) value = value.rounded(round_.stored);
        x.push_back(mean_vector(u));
      }
    grad_weight.insert(grad_weight.begin(), product(g, round_.stored_operand, x, round_.operand));
    grad_bias.insert(grad_bias.begin(), column_sums(g));
  }

  // g^T x with rounded operands: [g's width][x's width]
  static BoundedRows product(const BoundedRows& g, double rounding_of_g, const BoundedRows& x,
                             double rounding_of_x) {
    BoundedRows y(g[0].size(), BoundedRow(x[0].size()));
    for (size_t o = 0; o < y.size(); ++o)
      for (size_t d = 0; d < y[o].size(); ++d) {
        BoundedSum sum;
        for (size_t r = 0; r < g.size(); ++r)
          sum.add(g[r][o].rounded(rounding_of_g), x[r][d].rounded(rounding_of_x));
        y[o][d] = sum.result();
      }
    return y;
  }
  static BoundedRow column_sums(const BoundedRows& g) {
    BoundedRow sums;
    for (size_t o = 0; o < g[0].size(); ++o) {
      BoundedSum sum;
      for (const BoundedRow& row : g) sum.add(row[o]);
      sums.push_back(sum.result());
    }
    return sums;
  }
  // (grad W) leaky'(pre); where pre may have either sign, the slope may be either.
  BoundedRow through_layer(const BoundedRow& grad, double rounding_of_grad, size_t l,
                           const BoundedRow& pre) const {
    BoundedRow y;
    for (size_t h = 0; h < pre.size(); ++h) {
      BoundedSum sum;
      for (size_t o = 0; o < grad.size(); ++o)
        sum.add(grad[o].rounded(rounding_of_grad), p_.weight[l][o][h].rounded(round_.operand));
      const Bounded back = sum.result(1);
      const bool sure = std::abs(pre[h].value) > pre[h].error || pre[h].error == 0;
      const double factor = pre[h].value > 0 ? 1 : slope;
      const double error =
          sure ? factor * back.error
               : back.error * std::max(1.0, slope) + std::abs(1 - slope) * std::abs(back.value);
      y.push_back(Bounded{factor * back.value, error}.rounded(round_.stored));
    }
    return y;
  }

  Lists lists_;
  size_t users_;
  BoundedParameters p_;
  int layers_;
  int64_t degree_;
  Roundings round_;
  BoundedRows z_;
  std::vector<BoundedRows> pre_, act_;  // of every layer but the last
  std::vector<std::vector<size_t>> edges_of_node_;
};

// The parameters as they lie in the slab, of the projector.
inline BoundedParameters parameters_in(const ProjectorShape& shape,
                                       const std::vector<ParameterInfo>& table,
                                       const std::vector<float>& slab) {
  BoundedParameters parameters;
  parameters.shape = shape;
  size_t p = 0;
  for (int l = 0; l < shape.layers; ++l) {
    const ParameterInfo& w = table[p++];
    BoundedRows weight;
    for (int64_t r = 0; r < w.rows; ++r) {
      const auto row = slab.begin() + w.offset + r * w.cols;
      weight.push_back(BoundedModel::exact({row, row + w.cols}));
    }
    parameters.weight.push_back(std::move(weight));
    parameters.bias.emplace_back();
    if (!shape.bias) continue;
    const ParameterInfo& b = table[p++];
    const auto bias = slab.begin() + b.offset;
    parameters.bias.back() = BoundedModel::exact({bias, bias + b.rows});
  }
  return parameters;
}

inline BoundedRow flat(const BoundedRows& rows) {
  BoundedRow all;
  for (const BoundedRow& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

// The parameter's own gradient: w1, b1, w2, ...
inline BoundedRow gradient_of(const BoundedModel& model, const std::string& name) {
  const auto layer = size_t(name[1] - '1');
  return name[0] == 'w' ? flat(model.grad_weight[layer]) : model.grad_bias[layer];
}

// How many of the values lie out of the model's bounds, and the largest share of a bound in use.
struct Comparison {
  Agreement agreement;
  double most_used = 0;

  template <class T>
  void compare(const std::string& name, const std::vector<T>& got, const BoundedRow& want) {
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      agreement.compare(double(got[i]), want[i].value, want[i].error, name, ", value ", i);
      if (want[i].error > 0)
        most_used = std::max(most_used, std::abs(double(got[i]) - want[i].value) / want[i].error);
    }
  }
};

// The first step of Adam from empty moments, lr g / (|g| + eps), rises with g.
inline Bounded after_first_step(const AdamSettings& adam, Bounded weight, Bounded gradient) {
  const auto change = [&](double g) {
    return double(adam.learning_rate) * g / (std::abs(g) + double(adam.epsilon));
  };
  const double value = change(gradient.value);
  const double error = std::max(change(gradient.value + gradient.error) - value,
                                value - change(gradient.value - gradient.error));
  return {weight.value - value,
          weight.error + error +
              rounding_bound(4, std::abs(weight.value) + double(adam.learning_rate))};
}

}  // namespace rec::test
