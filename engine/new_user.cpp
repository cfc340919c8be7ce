#include "engine/new_user.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/normalisation/normalisation.h"

namespace rec {
namespace {

constexpr size_t kPeopleAtOnce = 1024;  // whose mean language vectors are held at once

void require_history(VectorView<const int32_t> history, int64_t items) {
  require(history.size > 0, "new user: the history must hold at least one item");
  for (int64_t h = 0; h < history.size; ++h)
    require(history[h] >= (h == 0 ? 0 : history[h - 1] + 1) && history[h] < items,
            "new user: a history is item ids, ascending, without repeats");
}

VectorView<const int32_t> row_of(CsrView m, int32_t row) { return {m.row(row), m.degree(row)}; }

void append(TopLists& lists, const TopLists& more) {
  lists.item.insert(lists.item.end(), more.item.begin(), more.item.end());
  lists.score.insert(lists.score.end(), more.score.begin(), more.score.end());
}

// each(some): the people, a block at a time.
template <class Each>
void for_each_block(const std::vector<int32_t>& people, size_t at_once, Each each) {
  for (size_t first = 0; first < people.size(); first += at_once) {
    const size_t end = std::min(first + at_once, people.size());
    each(std::vector<int32_t>(people.begin() + ptrdiff_t(first), people.begin() + ptrdiff_t(end)));
  }
}

}  // namespace

NewUsers::NewUsers(Model& model, MatrixView<const float> z, CsrView train)
    : model_(model), z_(z), train_(train), item_degree_(size_t(train.cols), 0) {
  require(!model.settings().node_table, "new user: the model reads no language vectors");
  require(train.rows == model.graph().users() && train.cols == model.graph().items() &&
              z.rows == train.cols,
          "new user: z and train must be what the model was made with");
  for (int64_t e = 0; e < train.row_start[train.rows]; ++e) ++item_degree_[size_t(train.col[e])];
  if (model.settings().propagation_layers == 0) return;
  Matrix<float> inner(model.backend(), model.graph().nodes(), model.encoder().dim());
  model.encoder().propagation().mean_of_inner_layers(model.encoder().initial(), inner.view());
  inner_ = to_host(model.backend(), inner.view().rows_from(train.rows, train.cols));
}

std::vector<float> NewUsers::initial(CsrView histories, const std::vector<int32_t>& rows) const {
  const int64_t count = int64_t(rows.size());
  std::vector<float> mean(size_t(count * z_.cols));
  for (int64_t r = 0; r < count; ++r) {
    const VectorView<const int32_t> history = row_of(histories, rows[size_t(r)]);
    require_history(history, z_.rows);
    mean_language_vector(z_, history, mean.data() + r * z_.cols);
  }
  std::vector<float> e0(size_t(count * model_.encoder().dim()));
  project_vectors(model_.backend(), model_.settings().projector, model_.parameters(),
                  {mean.data(), count, z_.cols}, e0.data());
  return e0;
}

std::vector<float> NewUsers::vectors(CsrView histories, const std::vector<int32_t>& rows) const {
  const size_t dim = size_t(model_.encoder().dim());
  const int layers = model_.settings().propagation_layers;
  std::vector<float> all = initial(histories, rows);
  std::vector<double> e(dim);
  for (size_t r = 0; r < rows.size(); ++r) {
    const VectorView<const int32_t> history = row_of(histories, rows[r]);
    float* row = all.data() + r * dim;
    std::copy(row, row + dim, e.begin());
    for (int64_t h = 0; layers > 0 && h < history.size; ++h) {
      const size_t item = size_t(history[h]);
      const double weight =
          double(layers) / std::sqrt(double(history.size) * double(item_degree_[item] + 1));
      for (size_t c = 0; c < dim; ++c) e[c] += weight * double(inner_[item * dim + c]);
    }
    for (double& value : e) value /= double(layers + 1);
    double scale = 1;
    if (model_.settings().score == Score::cosine)
      scale = std::max(std::sqrt(std::inner_product(e.begin(), e.end(), e.begin(), 0.0)),
                       double(kSmallestNorm));
    for (size_t c = 0; c < dim; ++c) row[c] = float(e[c] / scale);
  }
  return all;
}

NewUsers::Rebuild NewUsers::make_rebuild() const {
  Backend& backend = model_.backend();
  const int64_t users = train_.rows, items = train_.cols, nodes = users + 1 + items;
  const int64_t dim = model_.encoder().dim(), edges = train_.row_start[users];
  HostCsr train;
  train.rows = users + 1;
  train.cols = items;
  train.row_start.assign(train_.row_start, train_.row_start + users + 1);
  train.row_start.push_back(edges);
  train.col.assign(train_.col, train_.col + edges);
  Rebuild rebuild{std::move(train), Matrix<float>(backend, nodes, dim),
                  Representations(backend, model_.settings().score, users + 1, items, dim)};
  const std::vector<float> e0 = to_host(backend, model_.encoder().initial());
  const MatrixView<float> to = rebuild.e0.view();
  if (users > 0) backend.upload(to.data, e0.data(), sizeof(float) * size_t(users * dim));
  backend.upload(to.row(users + 1), e0.data() + users * dim, sizeof(float) * size_t(items * dim));
  return rebuild;
}

const Representations& NewUsers::rebuilt(VectorView<const int32_t> history) {
  require_history(history, z_.rows);
  if (!rebuild_) rebuild_.emplace(make_rebuild());
  Backend& backend = model_.backend();
  HostCsr& train = rebuild_->train;
  train.col.resize(size_t(train.row_start[size_t(train_.rows)]));
  train.col.insert(train.col.end(), history.data, history.data + history.size);
  train.row_start.back() = train.entries();
  const std::vector<float> e0 = initial(train.view(), {int32_t(train_.rows)});
  backend.upload(rebuild_->e0.view().row(train_.rows), e0.data(), sizeof(float) * e0.size());
  const Graph graph(backend, train.view());
  Propagation(backend, graph, model_.settings().propagation_layers, model_.encoder().dim())
      .apply(rebuild_->e0.view(), rebuild_->representations.raw(), {});
  rebuild_->representations.make_scored();
  return rebuild_->representations;
}

NewUserRanker::NewUserRanker(Model& model, NewUsers& users, CsrView histories, NewUserGraph graph)
    : model_(model), users_(users), histories_(histories), graph_(graph) {
  require(histories.cols == model.graph().items(),
          "new user: histories must be of the model's items");
}

TopLists NewUserRanker::rank(const std::vector<int32_t>& people, const std::vector<CsrView>& masks,
                             VectorView<const uint8_t> allowed, int64_t k) {
  Backend& backend = model_.backend();
  TopLists lists{int64_t(people.size()), k, {}, {}};
  if (graph_ == NewUserGraph::rebuilt) {
    for (int32_t person : people) {
      const Representations& all = users_.rebuilt(row_of(histories_, person));
      append(lists, rank_rows(backend, all.user(), all.item(), {int32_t(all.user().rows - 1)},
                              {person}, masks, allowed, k));
    }
    return lists;
  }
  for_each_block(people, kPeopleAtOnce, [&](const std::vector<int32_t>& some) {
    const std::vector<float> host = users_.vectors(histories_, some);
    const Matrix<float> vector(backend, MatrixView<const float>(host.data(), int64_t(some.size()),
                                                                model_.encoder().dim()));
    std::vector<int32_t> row(some.size());
    std::iota(row.begin(), row.end(), 0);
    append(lists, rank_rows(backend, vector.view(), model_.representations().item(), row, some,
                            masks, allowed, k));
  });
  return lists;
}

std::vector<float> NewUserRanker::scores(const std::vector<int32_t>& people, CsrView items) {
  Backend& backend = model_.backend();
  std::vector<float> all;
  for (int64_t p = 0; p < int64_t(people.size()); ++p) {
    const HostCsr wanted{
        1, items.cols, {0, items.degree(p)}, {items.row(p), items.row(p) + items.degree(p)}};
    std::vector<float> some;
    if (graph_ == NewUserGraph::rebuilt) {
      const Representations& rebuilt = users_.rebuilt(row_of(histories_, people[size_t(p)]));
      VectorRanker ranker(backend, rebuilt.user(), rebuilt.item());
      some = ranker.scores({int32_t(rebuilt.user().rows - 1)}, wanted.view());
    } else {
      const std::vector<float> host = users_.vectors(histories_, {people[size_t(p)]});
      const Matrix<float> vector(backend,
                                 MatrixView<const float>(host.data(), 1, int64_t(host.size())));
      some = VectorRanker(backend, vector.view(), model_.representations().item())
                 .scores({0}, wanted.view());
    }
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

double rank_overlap(const TopLists& a, const TopLists& b, int64_t k) {
  require(a.rows == b.rows && k >= 1 && k <= a.k && k <= b.k,
          "rank overlap: both must hold as many lists, of at least k");
  const auto first_items = [k](const TopLists& lists, int64_t row) {
    const VectorView<const int32_t> list = lists.items_of(row);
    std::vector<int32_t> items;
    for (int64_t c = 0; c < k && list[c] >= 0; ++c) items.push_back(list[c]);
    std::sort(items.begin(), items.end());
    return items;
  };
  double sum = 0;
  int64_t lists = 0;
  for (int64_t row = 0; row < a.rows; ++row) {
    const std::vector<int32_t> mine = first_items(a, row), others = first_items(b, row);
    if (mine.empty()) continue;
    int64_t both = 0;
    for (int32_t item : mine) both += std::binary_search(others.begin(), others.end(), item);
    sum += double(both) / double(mine.size());
    ++lists;
  }
  return lists == 0 ? 0 : sum / double(lists);
}

}  // namespace rec
