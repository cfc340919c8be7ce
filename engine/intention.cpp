#include "engine/intention.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "kernels/normalisation/normalisation.h"

namespace rec {
namespace {

// Lists ranked at once; fewer where each needs a mask of its own, which may hold most items.
constexpr size_t kListsAtOnce = 4096, kCorrectedListsAtOnce = 256;

// Of list l: its own row, or the one that all share.
const float* query_of(MatrixView<const float> query, int64_t l) {
  return query.row(query.rows == 1 ? 0 : l);
}

double inverse_root(int64_t degree) { return degree == 0 ? 0.0 : 1.0 / std::sqrt(double(degree)); }

// row [dim] = e + weight delta, of unit length for the cosine.
void move_row(const float* e, double weight, const std::vector<double>& delta, Score score,
              float* row) {
  const size_t dim = delta.size();
  double square = 0;
  for (size_t c = 0; c < dim; ++c) {
    const double value = double(e[c]) + weight * delta[c];
    square += value * value;
  }
  const double scale =
      score == Score::cosine ? 1 / std::max(std::sqrt(square), double(kSmallestNorm)) : 1.0;
  for (size_t c = 0; c < dim; ++c) row[c] = float((double(e[c]) + weight * delta[c]) * scale);
}

}  // namespace

GraphReach::GraphReach(CsrView train, int layers)
    : items_of_user_(train), layers_(layers), sum_(size_t(std::max(train.rows, train.cols)), 0.0) {
  std::vector<int64_t> item_degree(size_t(train.cols), 0);
  for (int64_t u = 0; u < train.rows; ++u) user_scale_.push_back(inverse_root(train.degree(u)));
  for (int64_t e = 0; e < train.row_start[train.rows]; ++e) ++item_degree[size_t(train.col[e])];
  for (int64_t degree : item_degree) item_scale_.push_back(inverse_root(degree));
  if (layers > 2) users_of_item_ = transpose(train);
}

GraphReach::Sparse GraphReach::hop(const Sparse& x, bool to_items) {
  const CsrView next = to_items ? items_of_user_ : users_of_item_.view();
  const std::vector<double>& from_scale = to_items ? user_scale_ : item_scale_;
  const std::vector<double>& to_scale = to_items ? item_scale_ : user_scale_;
  Sparse y;
  for (size_t n = 0; n < x.id.size(); ++n) {
    const double value = x.value[n] * from_scale[size_t(x.id[n])];
    const int32_t* neighbour = next.row(x.id[n]);
    for (int64_t e = 0; e < next.degree(x.id[n]); ++e) {
      double& sum = sum_[size_t(neighbour[e])];
      if (sum == 0) y.id.push_back(neighbour[e]);  // again, where a value underflowed
      sum += value;
    }
  }
  std::sort(y.id.begin(), y.id.end());
  y.id.erase(std::unique(y.id.begin(), y.id.end()), y.id.end());
  for (int32_t id : y.id) {
    y.value.push_back(sum_[size_t(id)] * to_scale[size_t(id)]);
    sum_[size_t(id)] = 0;
  }
  return y;
}

Reach GraphReach::of(int32_t user) {
  Reach reach;
  reach.user = this->user(user);
  Sparse x{{user}, {1.0}};
  const int last_odd = layers_ % 2 == 1 ? layers_ : layers_ - 1;
  for (int k = 1; k <= last_odd; ++k) {
    x = hop(x, /*to_items=*/k % 2 == 1);
    if (k % 2 == 0) continue;
    // What an odd layer reached, the next one reaches again.
    std::vector<double> weight = x.value;
    for (size_t before = 0, n = 0; before < reach.item.size(); ++before) {
      while (x.id[n] != reach.item[before]) ++n;
      weight[n] += reach.weight[before];
    }
    reach.item = x.id;
    reach.weight = std::move(weight);
  }
  for (double& weight : reach.weight) weight /= double(layers_ + 1);
  return reach;
}

double GraphReach::user(int32_t user) {
  double sum = 1;
  if (layers_ >= 2) {
    // |A~ 1_u|^2 = 1/d_u sum of m_i^2 / d_i, m_i being how often item i stands in her row
    double own = 0;
    const int32_t* const end = items_of_user_.row(user + 1);
    for (const int32_t* item = items_of_user_.row(user); item != end;) {
      const int32_t* const next = std::find_if(item, end, [=](int32_t i) { return i != *item; });
      const double value = double(next - item) * item_scale_[size_t(*item)];
      own += value * value;
      item = next;
    }
    sum += own * user_scale_[size_t(user)] * user_scale_[size_t(user)];
  }
  if (layers_ >= 4) {
    Sparse x = hop({{user}, {1.0}}, /*to_items=*/true);
    for (int k = 2; 2 * k <= layers_; ++k) {
      x = hop(x, k % 2 == 1);
      for (double value : x.value) sum += value * value;
    }
  }
  return sum / double(layers_ + 1);
}

IntentionRanker::IntentionRanker(Model& model, CsrView train, std::vector<CsrView> masks,
                                 std::vector<uint8_t> allowed)
    : model_(model),
      masks_(std::move(masks)),
      allowed_(std::move(allowed)),
      device_allowed_(model.backend(), allowed_),
      reach_(train, model.settings().propagation_layers) {
  require(train.rows == model.graph().users() && train.cols == model.graph().items(),
          "intention: train must be what the model was made with");
  const int layers = model.settings().propagation_layers;
  moves_no_shown_item_ = layers == 0;
  for (CsrView mask : masks_) {
    device_mask_.emplace_back(model.backend(), mask);
    if (layers <= 2 && mask.row_start == train.row_start && mask.col == train.col)
      moves_no_shown_item_ = true;
  }
  e0_ = to_host(model.backend(), model.encoder().initial().rows_from(0, train.rows));
  e_ = to_host(model.backend(), model.representations().raw());
}

std::vector<CsrView> IntentionRanker::device_masks() const {
  std::vector<CsrView> views;
  for (const DeviceCsr& mask : device_mask_) views.push_back(mask.view());
  return views;
}

void IntentionRanker::require_requests(const std::vector<int32_t>& users,
                                       MatrixView<const float> query) const {
  require((query.rows == int64_t(users.size()) || query.rows == 1) &&
              query.cols == model_.settings().projector.dim,
          "intention: one projected query per list, or one for all");
}

std::vector<int32_t> IntentionRanker::shown(const std::vector<int32_t>& items, int32_t user) const {
  std::vector<int32_t> left = items;
  for (CsrView mask : masks_) {
    if (left.empty()) break;
    std::vector<int32_t> rest;
    std::set_difference(left.begin(), left.end(), mask.row(user),
                        mask.row(user) + mask.degree(user), std::back_inserter(rest));
    left = std::move(rest);
  }
  if (!allowed_.empty())
    left.erase(std::remove_if(left.begin(), left.end(),
                              [&](int32_t item) { return allowed_[size_t(item)] == 0; }),
               left.end());
  return left;
}

std::vector<IntentionRanker::Scored> IntentionRanker::move(int32_t user, const float* query,
                                                           double alpha, float* vector) {
  const size_t dim = size_t(model_.settings().projector.dim);
  const int64_t users = model_.graph().users();
  const Score score = model_.settings().score;
  const float* e0 = e0_.data() + size_t(user) * dim;
  std::vector<double> delta(dim);
  for (size_t c = 0; c < dim; ++c) delta[c] = alpha * (double(query[c]) - double(e0[c]));
  const float* e = e_.data() + size_t(user) * dim;
  std::vector<Scored> corrected;
  if (moves_no_shown_item_) {
    move_row(e, reach_.user(user), delta, score, vector);
    return corrected;
  }

  const Reach reach = reach_.of(user);
  move_row(e, reach.user, delta, score, vector);
  std::vector<float> row(dim);
  for (size_t n = 0; int32_t item : shown(reach.item, user)) {
    while (reach.item[n] != item) ++n;
    move_row(e_.data() + size_t(users + item) * dim, reach.weight[n], delta, score, row.data());
    double sum = 0;
    for (size_t c = 0; c < dim; ++c) sum += double(vector[c]) * double(row[c]);
    if (!std::isfinite(float(sum))) refuse_ranking_score(user, item);
    corrected.push_back({item, float(sum)});
  }
  return corrected;
}

TopLists IntentionRanker::rank_block(const std::vector<int32_t>& users,
                                     MatrixView<const float> query, double alpha, int64_t k) {
  Backend& backend = model_.backend();
  const int64_t dim = model_.settings().projector.dim, lists = int64_t(users.size());
  std::vector<float> vectors(users.size() * size_t(dim));
  std::vector<std::vector<Scored>> corrected;  // of each list
  bool any = false;
  for (int64_t l = 0; l < lists; ++l) {
    corrected.push_back(
        move(users[size_t(l)], query_of(query, l), alpha, vectors.data() + l * dim));
    any = any || !corrected.back().empty();
  }
  std::vector<int32_t> rows(users.size());
  std::iota(rows.begin(), rows.end(), 0);
  const Matrix<float> vector(backend, MatrixView<const float>(vectors.data(), lists, dim));
  const MatrixView<const float> item = model_.representations().item();
  if (!any)
    return rank_rows(backend, vector.view(), item, rows, users, device_masks(),
                     device_allowed_.view(), k);

  // Corrected items are left out of the pass over all items, together with what the masks hold, and
  // then take their places.
  HostCsr left_out;
  left_out.rows = lists;
  left_out.cols = model_.graph().items();
  for (int64_t l = 0; l < lists; ++l) {
    std::vector<int32_t> items;
    for (const Scored& one : corrected[size_t(l)]) items.push_back(one.item);
    for (CsrView mask : masks_) {
      const int32_t user = users[size_t(l)];
      items.insert(items.end(), mask.row(user), mask.row(user) + mask.degree(user));
    }
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    left_out.col.insert(left_out.col.end(), items.begin(), items.end());
    left_out.row_start.push_back(left_out.entries());
  }
  const DeviceCsr mask(backend, left_out.view());
  TopLists top =
      rank_rows(backend, vector.view(), item, rows, rows, {mask.view()}, device_allowed_.view(), k);
  for (int64_t l = 0; l < lists; ++l) {
    std::vector<Scored> all = std::move(corrected[size_t(l)]);
    for (int64_t at = l * k; at < (l + 1) * k && top.item[size_t(at)] >= 0; ++at)
      all.push_back({top.item[size_t(at)], top.score[size_t(at)]});
    std::sort(all.begin(), all.end(), [](const Scored& a, const Scored& b) {
      return a.score != b.score ? a.score > b.score : a.item < b.item;
    });
    for (size_t place = 0; place < std::min(all.size(), size_t(k)); ++place) {
      top.item[size_t(l * k) + place] = all[place].item;
      top.score[size_t(l * k) + place] = all[place].score;
    }
  }
  return top;
}

TopLists IntentionRanker::rank(const std::vector<int32_t>& users, MatrixView<const float> query,
                               double alpha, int64_t k) {
  require_requests(users, query);
  TopLists lists{int64_t(users.size()), k, {}, {}};
  const size_t at_once = moves_no_shown_item_ ? kListsAtOnce : kCorrectedListsAtOnce;
  for (size_t first = 0; first < users.size(); first += at_once) {
    const size_t end = std::min(first + at_once, users.size());
    const std::vector<int32_t> some(users.begin() + ptrdiff_t(first),
                                    users.begin() + ptrdiff_t(end));
    const TopLists block = rank_block(
        some, query.rows == 1 ? query : query.rows_from(int64_t(first), int64_t(some.size())),
        alpha, k);
    lists.item.insert(lists.item.end(), block.item.begin(), block.item.end());
    lists.score.insert(lists.score.end(), block.score.begin(), block.score.end());
  }
  return lists;
}

TopLists IntentionRanker::rank_exactly(const std::vector<int32_t>& users,
                                       MatrixView<const float> query, double alpha, int64_t k) {
  require_requests(users, query);
  Backend& backend = model_.backend();
  const Graph& graph = model_.graph();
  const int64_t dim = query.cols;
  const std::vector<float> e0 = to_host(backend, model_.encoder().initial());
  const Matrix<float> moved(backend, MatrixView<const float>(e0.data(), graph.nodes(), dim));
  Propagation propagation(backend, graph, model_.settings().propagation_layers, dim);
  Representations representations(backend, model_.settings().score, graph.users(), graph.items(),
                                  dim);
  TopLists lists{int64_t(users.size()), k, {}, {}};
  const size_t bytes = sizeof(float) * size_t(dim);
  for (int64_t l = 0; l < lists.rows; ++l) {
    const int32_t user = users[size_t(l)];
    const float* before = e0.data() + user * dim;
    std::vector<float> after;
    for (int64_t c = 0; c < dim; ++c)
      after.push_back(
          float((1 - alpha) * double(before[c]) + alpha * double(query_of(query, l)[c])));
    backend.upload(moved.view().row(user), after.data(), bytes);
    propagation.apply(moved.view(), representations.raw(), {});
    backend.upload(moved.view().row(user), before, bytes);
    representations.make_scored();
    const TopLists one = rank_rows(backend, representations.user(), representations.item(), {user},
                                   {user}, device_masks(), device_allowed_.view(), k);
    lists.item.insert(lists.item.end(), one.item.begin(), one.item.end());
    lists.score.insert(lists.score.end(), one.score.begin(), one.score.end());
  }
  return lists;
}

}  // namespace rec
