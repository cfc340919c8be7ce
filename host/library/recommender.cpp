#include "host/library/recommender.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace rec {
namespace {

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

void require_numbers(const std::vector<int32_t>& numbers, int64_t count, const char* kind) {
  for (int32_t number : numbers)
    if (number < 0 || number >= count)
      refuse(
          fmt::format("there is no {0} {1}; {0}s are numbered 0 to {2}", kind, number, count - 1));
}

// Row `item` of each of these holds the item itself.
HostCsr themselves(std::vector<int32_t> of, int64_t items) {
  std::sort(of.begin(), of.end());
  of.erase(std::unique(of.begin(), of.end()), of.end());
  HostCsr mask{items, items, std::vector<int64_t>(size_t(items) + 1, 0), std::move(of)};
  for (int32_t item : mask.col) mask.row_start[size_t(item) + 1] = 1;
  std::partial_sum(mask.row_start.begin(), mask.row_start.end(), mask.row_start.begin());
  return mask;
}

HostCsr rows_of(const std::vector<std::vector<int32_t>>& histories, int64_t items) {
  HostCsr rows;
  rows.cols = items;
  for (std::vector<int32_t> history : histories) {
    require_numbers(history, items, "item");
    if (history.empty()) refuse("a history is empty; nothing can be said of someone without items");
    std::sort(history.begin(), history.end());
    history.erase(std::unique(history.begin(), history.end()), history.end());
    add_row(rows, history);
  }
  return rows;
}

void require_intention(const Intention& intention, size_t lists, int64_t width) {
  const MatrixView<const float> query = intention.query;
  if (query.rows != 1 && query.rows != int64_t(lists))
    refuse(fmt::format("an intention has one query for all lists or one a list, not {} for {}",
                       query.rows, lists));
  if (query.cols != width)
    refuse(
        fmt::format("a query is {} wide, but the dataset's language vectors are {} wide; embed "
                    "it with their model",
                    query.cols, width));
  for (int64_t row = 0; row < query.rows; ++row)
    for (int64_t c = 0; c < query.cols; ++c)
      if (!std::isfinite(query(row, c))) refuse("a query holds a value that is not finite");
  if (!(intention.alpha >= 0 && intention.alpha <= 1))
    refuse(fmt::format("alpha {} is not from 0 to 1", intention.alpha));
}

}  // namespace

Recommender::Recommender(LoadedRun run) : run_(std::move(run)) {}

VectorRanker Recommender::ranker() const {
  const Representations& vectors = run_.model->representations();
  return {*run_.backend, vectors.user(), vectors.item()};
}

std::vector<CsrView> Recommender::masks(const std::vector<Split>& splits) {
  std::vector<CsrView> views;
  for (Split split : splits)
    views.push_back(
        mask_.try_emplace(split, *run_.backend, data().split(split).view()).first->second.view());
  return views;
}

int64_t Recommender::list_length(const ListRequest& request) const {
  if (request.k < 1) refuse(fmt::format("a list of {} items is none; k is 1 or more", request.k));
  if (!request.allowed.empty() && int64_t(request.allowed.size()) != data().items)
    refuse(fmt::format("{} flags say which items are allowed, but there are {} items",
                       request.allowed.size(), data().items));
  return std::min(request.k, data().items);
}

TopLists Recommender::for_users(const std::vector<int32_t>& users, const ListRequest& request) {
  require_numbers(users, data().users, "user");
  const int64_t k = list_length(request);
  const Array<uint8_t> allowed(*run_.backend, request.allowed);
  return ranker().rank(users, masks(request.leave_out), allowed.view(), k);
}

IntentionRanker& Recommender::intention_ranker(const ListRequest& request) {
  if (!intention_ || intention_->leave_out != request.leave_out ||
      intention_->allowed != request.allowed) {
    std::vector<CsrView> masks;
    for (Split split : request.leave_out) masks.push_back(data().split(split).view());
    intention_.emplace(IntentionLists{
        request.leave_out, request.allowed,
        IntentionRanker(*run_.model, data().train.view(), std::move(masks), request.allowed)});
  }
  return intention_->ranker;
}

TopLists Recommender::for_users_towards(const std::vector<int32_t>& users,
                                        const Intention& intention, const ListRequest& request) {
  require_language_model(run_, "an intention");
  require_numbers(users, data().users, "user");
  require_intention(intention, users.size(), data().language.width());
  const int64_t k = list_length(request), queries = intention.query.rows;
  std::vector<float> projected(size_t(queries * dim()));
  project_vectors(*run_.backend, run_.model->settings().projector, run_.model->parameters(),
                  intention.query, projected.data());
  const MatrixView<const float> query(projected.data(), queries, dim());
  IntentionRanker& ranker = intention_ranker(request);
  return intention.exact ? ranker.rank_exactly(users, query, intention.alpha, k)
                         : ranker.rank(users, query, intention.alpha, k);
}

NewUsers& Recommender::new_users() {
  if (!new_users_) new_users_.emplace(*run_.model, data().language.view(), data().train.view());
  return *new_users_;
}

TopLists Recommender::for_histories(const std::vector<std::vector<int32_t>>& histories,
                                    NewUserGraph graph, const ListRequest& request) {
  require_language_model(run_, "a history");
  const HostCsr own = rows_of(histories, data().items);
  const int64_t k = list_length(request);
  std::vector<DeviceCsr> seen;
  if (!request.leave_out.empty()) seen.emplace_back(*run_.backend, own.view());
  std::vector<CsrView> masks;
  for (const DeviceCsr& mask : seen) masks.push_back(mask.view());
  const Array<uint8_t> allowed(*run_.backend, request.allowed);
  std::vector<int32_t> people(histories.size());
  std::iota(people.begin(), people.end(), 0);
  return NewUserRanker(*run_.model, new_users(), own.view(), graph)
      .rank(people, masks, allowed.view(), k);
}

TopLists Recommender::similar_items(const std::vector<int32_t>& items, const ListRequest& request) {
  require_numbers(items, data().items, "item");
  const int64_t k = list_length(request);
  const MatrixView<const float> vectors = run_.model->representations().item();
  const DeviceCsr mask(*run_.backend, themselves(items, data().items).view());
  const Array<uint8_t> allowed(*run_.backend, request.allowed);
  return VectorRanker(*run_.backend, vectors, vectors)
      .rank(items, {mask.view()}, allowed.view(), k);
}

std::vector<float> Recommender::user_vectors() {
  return to_host(*run_.backend, run_.model->representations().user());
}

std::vector<float> Recommender::item_vectors() {
  return to_host(*run_.backend, run_.model->representations().item());
}

Evaluation Recommender::evaluate(CsrView truth, const std::vector<Split>& leave_out,
                                 const std::vector<int64_t>& cutoffs) {
  if (truth.rows != data().users || truth.cols != data().items)
    refuse(fmt::format("the split is {} by {}, but the model has {} users and {} items", truth.rows,
                       truth.cols, data().users, data().items));
  if (cutoffs.empty() || *std::min_element(cutoffs.begin(), cutoffs.end()) < 1)
    refuse("metrics need cut-offs of 1 or more");
  VectorRanker by_vectors = ranker();
  return rec::evaluate(by_vectors, truth, masks(leave_out), cutoffs);
}

}  // namespace rec
