#include "host/python/native/ranking.h"

#include <fmt/format.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "engine/evaluator.h"
#include "engine/ranker.h"
#include "host/library/checks.h"
#include "host/library/place.h"
#include "host/library/scored_vectors.h"
#include "host/python/native/csr.h"

namespace rec::python {
namespace {

using Masks = std::vector<const Csr*>;

using SaidPlace = std::pair<int, uint64_t>;

ScoredVectors scored(Backend& backend, const Given& user, const Given& item, bool cosine,
                     const Place& place) {
  return {backend, float_matrix(user, "user_vectors", place),
          float_matrix(item, "item_vectors", place), cosine ? Score::cosine : Score::dot};
}

// What is left out of lists, where they are made.
class PlacedMasks {
 public:
  PlacedMasks(const Masks& masks, const ScoredVectors& vectors, Backend& backend,
              const Place& place) {
    for (const Csr* mask : masks) {
      require_covers(mask->view(), mask->name(), vectors.user(), vectors.item());
      if (!place.is_host()) copies_.emplace_back(backend, mask->view());
      views_.push_back(place.is_host() ? mask->view() : copies_.back().view());
    }
  }
  const std::vector<CsrView>& views() const { return views_; }

 private:
  std::vector<DeviceCsr> copies_;
  std::vector<CsrView> views_;
};

void topk(const Given& user, const Given& item, const std::optional<Given>& users, int64_t k,
          const Masks& seen, const std::optional<Given>& allowed, bool cosine,
          const Result& out_ids, const Result& out_scores, const SaidPlace& said) {
  const Place place = place_of(said);
  const std::unique_ptr<Backend> backend = backend_at(place);
  const ScoredVectors vectors = scored(*backend, user, item, cosine, place);
  std::vector<int32_t> rows;
  if (users) {
    const Ids given(*users, "users", 1, vectors.user().rows, "users");
    rows.assign(given.vector().begin(), given.vector().end());
  } else {
    rows.resize(size_t(vectors.user().rows));
    std::iota(rows.begin(), rows.end(), 0);
  }
  VectorView<const uint8_t> shown;
  if (allowed) shown = flags(*allowed, "items");
  if (allowed && shown.size != vectors.item().rows)
    throw nb::value_error(fmt::format("items: expected a flag for each of {} items, given {}",
                                      vectors.item().rows, shown.size)
                              .c_str());
  Array<uint8_t> shown_there;
  if (allowed && !place.is_host()) {
    shown_there = Array<uint8_t>(*backend, shown.data, shown.size);
    shown = shown_there.view();
  }
  const auto lists = int64_t(rows.size());
  const MatrixView<int32_t> id = id_result(out_ids, "ids", lists, k);
  const MatrixView<float> score = float_result(out_scores, "scores", lists, k);
  const PlacedMasks masks(seen, vectors, *backend, place);
  if (lists == 0) return;
  const TopLists top =
      rank_rows(*backend, vectors.user(), vectors.item(), rows, rows, masks.views(), shown, k);
  for (int64_t l = 0; l < lists; ++l) {
    std::copy_n(top.item.data() + l * k, k, id.row(l));
    std::copy_n(top.score.data() + l * k, k, score.row(l));
  }
}

using Means = std::vector<std::array<double, kAllMetrics.size()>>;

// The means, one row a cut-off, and into per_user [users with an item in test, cut-offs * metrics], where it is given,
// each user's.
Means evaluate_vectors(const Given& user, const Given& item, const Csr& test, const Masks& masks,
                       const std::vector<int64_t>& cutoffs, bool cosine,
                       const std::optional<Result>& per_user, const SaidPlace& said) {
  const Place place = place_of(said);
  const std::unique_ptr<Backend> backend = backend_at(place);
  const ScoredVectors vectors = scored(*backend, user, item, cosine, place);
  require_covers(test.view(), test.name(), vectors.user(), vectors.item());
  const PlacedMasks left_out(masks, vectors, *backend, place);
  VectorRanker ranker(*backend, vectors.user(), vectors.item());
  const Evaluation evaluation = evaluate(ranker, test.view(), left_out.views(), cutoffs);
  if (per_user) {
    const auto values = int64_t(cutoffs.size() * kAllMetrics.size());
    const VectorView<double> out = double_result(*per_user, "per_user", evaluation.users * values);
    double* next = out.data;
    for (const UserResult& result : evaluation.per_user)
      for (const MetricValues& at : result.at) next = std::copy(at.begin(), at.end(), next);
  }
  return evaluation.mean;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (Metric metric : kAllMetrics) names.emplace_back(metric_name(metric));
  return names;
}

}  // namespace

void bind_ranking(nb::module_& module) {
  using Unlocked = nb::call_guard<nb::gil_scoped_release>;
  module.def("topk", &topk, Unlocked(), nb::arg("user_vectors"), nb::arg("item_vectors"),
             nb::arg("users").none(), nb::arg("k"), nb::arg("seen"), nb::arg("items").none(),
             nb::arg("cosine"), nb::arg("ids"), nb::arg("scores"), nb::arg("place"));
  module.def("evaluate", &evaluate_vectors, Unlocked(), nb::arg("user_vectors"),
             nb::arg("item_vectors"), nb::arg("test"), nb::arg("masks"), nb::arg("cutoffs"),
             nb::arg("cosine"), nb::arg("per_user").none(), nb::arg("place"));
  module.def("metric_names", &metric_names);
}

}  // namespace rec::python
