// rec.h: version, threads, ranking, evaluation, and the parts of a training step.
#include "engine/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/evaluator.h"
#include "engine/graph.h"
#include "engine/ranker.h"
#include "host/c_api/arguments.h"
#include "host/c_api/calls.h"
#include "host/c_api/handles.h"
#include "host/c_api/lists.h"
#include "host/library/batch_sampler.h"
#include "host/library/checks.h"
#include "host/library/scored_vectors.h"
#include "host/library/threads.h"
#include "host/version.h"

namespace rec::c_api {
namespace {

static_assert(REC_METRICS == int(kAllMetrics.size()) && REC_MAX_MASKS == kMaxMasks);
static_assert(kAllMetrics[REC_RECALL] == Metric::recall && kAllMetrics[REC_NDCG] == Metric::ndcg &&
              kAllMetrics[REC_HR] == Metric::hr && kAllMetrics[REC_MAP] == Metric::map &&
              kAllMetrics[REC_PRECISION] == Metric::precision &&
              kAllMetrics[REC_MRR] == Metric::mrr);

Score score_of(rec_score score) {
  if (score != REC_DOT && score != REC_COSINE)
    throw std::invalid_argument(
        fmt::format("score: expected REC_DOT or REC_COSINE, given {}", score));
  return score == REC_COSINE ? Score::cosine : Score::dot;
}

ScoredVectors scored(Backend& backend, const rec_vectors* vectors) {
  const rec_vectors& of = given(vectors, "vectors");
  return {backend, matrix(&of.user, "user_vectors"), matrix(&of.item, "item_vectors"),
          score_of(of.score)};
}

std::vector<CsrView> masks_of(const rec_csr* masks, int64_t count, const ScoredVectors& vectors) {
  require_count(count, masks, "masks");
  if (count > kMaxMasks)
    throw std::invalid_argument(
        fmt::format("masks: expected at most {}, given {}", kMaxMasks, count));
  std::vector<CsrView> views;
  for (int64_t m = 0; m < count; ++m) {
    views.push_back(csr(masks + m, "masks", Order::ascending_with_repeats));
    require_covers(views.back(), "masks", vectors.user(), vectors.item());
  }
  return views;
}

std::vector<int32_t> users_of(const int32_t* users, int64_t count, int64_t all) {
  if (users != nullptr) {
    const VectorView<const int32_t> some = ids(users, count, "users", "users", all);
    return {some.begin(), some.end()};
  }
  std::vector<int32_t> everyone(static_cast<size_t>(all));
  std::iota(everyone.begin(), everyone.end(), 0);
  return everyone;
}

class GraphObject final : public Object {
 public:
  using Handle = rec_graph;
  static constexpr const char* kKind = "graph";

  explicit GraphObject(CsrView interactions) : graph_(*cpu_backend(), interactions) {}
  const char* kind() const override { return kKind; }
  const Graph& graph() const { return graph_; }

 private:
  Graph graph_;
};

class SamplerObject final : public Object {
 public:
  using Handle = rec_sampler;
  static constexpr const char* kKind = "sampler";

  SamplerObject(CsrView interactions, const SamplingRequest& request)
      : sampler_(interactions, request) {}
  const char* kind() const override { return kKind; }
  BatchSampler& sampler() { return sampler_; }

 private:
  BatchSampler sampler_;
};

SamplingRequest request_of(const rec_sampling& sampling) {
  SamplingRequest request;
  request.batch = sampling.batch;
  request.negatives = sampling.negatives;
  request.seed = sampling.seed;
  request.rule = text_or(sampling.rule, "user");
  request.distribution = text_or(sampling.distribution, "uniform");
  if (sampling.exponent != 0) request.exponent = sampling.exponent;
  return request;
}

BatchLossSettings settings_of(const rec_batch& batch, rec_score score) {
  if (batch.objective != REC_INFONCE && batch.objective != REC_BPR)
    throw std::invalid_argument(
        fmt::format("objective: expected REC_INFONCE or REC_BPR, given {}", batch.objective));
  BatchLossSettings settings;
  settings.kind = batch.objective == REC_BPR ? Objective::bpr : Objective::infonce;
  settings.tau = batch.tau;
  settings.score = score_of(score);
  return settings;
}

BatchIds ids_of(const rec_batch& batch, int64_t users, int64_t items) {
  constexpr int64_t kMostUses = int64_t{1} << 31;  // as kernels/sampler has it
  if (batch.rows < 1 || batch.negatives < 1 || batch.negatives >= kMostUses / batch.rows)
    throw std::invalid_argument(
        fmt::format("batch: expected at least one row and one negative a row, and fewer than 2^31 "
                    "of them, given {} and {}",
                    batch.rows, batch.negatives));
  BatchIds all;
  all.user = ids(batch.user, batch.rows, "users", "users", users);
  all.positive = ids(batch.positive, batch.rows, "positives", "items", items);
  all.negative = {
      ids(batch.negative, batch.rows * batch.negatives, "negatives", "items", items).data,
      batch.rows, batch.negatives};
  return all;
}

}  // namespace
}  // namespace rec::c_api

using namespace rec;
using namespace rec::c_api;

const char* rec_version(void) { return kVersion; }
const char* rec_last_error(void) { return last_error(); }

rec_status rec_set_threads(int32_t count) {
  return call([&] { set_threads(count); });
}

rec_status rec_threads(int32_t* count) {
  return call([&] { given(count, "threads") = threads(); });
}

rec_status rec_topk(const rec_vectors* vectors, const int32_t* users, int64_t count, int64_t k,
                    const rec_csr* masks, int64_t mask_count, const uint8_t* allowed,
                    int32_t* out_item, float* out_score) {
  return call([&] {
    const std::unique_ptr<Backend> backend = cpu_backend();
    const ScoredVectors by = scored(*backend, vectors);
    const std::vector<int32_t> rows = users_of(users, count, by.user().rows);
    const std::vector<CsrView> left_out = masks_of(masks, mask_count, by);
    const int64_t items = by.item().rows;
    require_list_length(k);
    if (rows.empty()) return;
    const VectorView<const uint8_t> flags(allowed, allowed == nullptr ? 0 : items);
    const TopLists lists = rank_rows(*backend, by.user(), by.item(), rows, rows, left_out, flags,
                                     std::clamp<int64_t>(items, 1, k));
    give_lists(lists, k, out_item, out_score);
  });
}

rec_status rec_evaluate(const rec_vectors* vectors, const rec_csr* test, const rec_csr* masks,
                        int64_t mask_count, const int64_t* at, int64_t cutoff_count,
                        double* out_mean, double* out_user, int64_t* users) {
  return call([&] {
    const std::unique_ptr<Backend> backend = cpu_backend();
    const ScoredVectors by = scored(*backend, vectors);
    const CsrView truth = csr(test, "test");
    require_covers(truth, "test", by.user(), by.item());
    const std::vector<CsrView> left_out = masks_of(masks, mask_count, by);
    require_given(out_mean, "out_mean");
    VectorRanker ranker(*backend, by.user(), by.item());
    give_metrics(evaluate(ranker, truth, left_out, cutoffs(at, cutoff_count)), out_mean, out_user,
                 users);
  });
}

rec_status rec_graph_create(const rec_csr* interactions, rec_graph** graph) {
  return call([&] {
    rec_graph*& made = place(graph, "graph");
    made = enlist(std::make_shared<GraphObject>(
        csr(interactions, "interactions", Order::ascending_with_repeats)));
  });
}

rec_status rec_graph_free(rec_graph* graph) {
  return call([&] { free_handle<GraphObject>(graph); });
}

rec_status rec_graph_propagate(const rec_graph* graph, int32_t layers, const rec_matrix* x,
                               float* out) {
  return call([&] {
    const auto of = get<GraphObject>(graph);
    const MatrixView<const float> from = matrix(x, "x");
    require_rows(from, "x", of->graph().nodes(), "users and then items");
    if (layers < 0)
      throw std::invalid_argument(
          fmt::format("layers: expected a number from 0 on, given {}", layers));
    propagate(*cpu_backend(), of->graph(), layers, from, result(out, "out", from.rows, from.cols));
  });
}

rec_status rec_graph_mean_rows(const rec_graph* graph, const rec_matrix* x, float* out) {
  return call([&] {
    const auto of = get<GraphObject>(graph);
    const MatrixView<const float> from = matrix(x, "x");
    require_rows(from, "x", of->graph().items(), "items");
    mean_of_items(*cpu_backend(), of->graph(), from,
                  result(out, "out", of->graph().users(), from.cols));
  });
}

rec_status rec_graph_mean_rows_adjoint(const rec_graph* graph, const rec_matrix* grad, float* out) {
  return call([&] {
    const auto of = get<GraphObject>(graph);
    const MatrixView<const float> from = matrix(grad, "grad");
    require_rows(from, "grad", of->graph().users(), "users");
    mean_of_items_adjoint(*cpu_backend(), of->graph(), from,
                          result(out, "out", of->graph().items(), from.cols));
  });
}

rec_status rec_sampler_create(const rec_csr* interactions, const rec_sampling* sampling,
                              rec_sampler** sampler) {
  return call([&] {
    rec_sampler*& made = place(sampler, "sampler");
    const CsrView of = csr(interactions, "interactions");
    made = enlist(std::make_shared<SamplerObject>(of, request_of(given(sampling, "sampling"))));
  });
}

rec_status rec_sampler_free(rec_sampler* sampler) {
  return call([&] { free_handle<SamplerObject>(sampler); });
}

rec_status rec_sampler_steps(const rec_sampler* sampler, int64_t* steps_per_epoch) {
  return call([&] {
    given(steps_per_epoch, "steps_per_epoch") =
        get<SamplerObject>(sampler)->sampler().steps_per_epoch();
  });
}

rec_status rec_sampler_draw(const rec_sampler* sampler, int64_t epoch, int64_t step,
                            int32_t* out_user, int32_t* out_positive, int32_t* out_negative) {
  return call([&] {
    const auto object = get<SamplerObject>(sampler);
    BatchSampler& of = object->sampler();
    of.draw({}, epoch, step, {&given(out_user, "out_user"), of.batch()},
            {&given(out_positive, "out_positive"), of.batch()},
            {&given(out_negative, "out_negative"), of.batch(), of.negatives()});
  });
}

rec_status rec_batch_loss(const rec_vectors* vectors, const rec_batch* batch, double* loss,
                          float* grad_user, float* grad_item) {
  return call([&] {
    const rec_vectors& of = given(vectors, "vectors");
    const MatrixView<const float> user = matrix(&of.user, "user_vectors");
    const MatrixView<const float> item = matrix(&of.item, "item_vectors");
    require_same_width(user, item);
    const BatchLossSettings settings = settings_of(given(batch, "batch"), of.score);
    const BatchIds all = ids_of(*batch, user.rows, item.rows);
    require_batch(all, settings);
    double sum = 0;
    double& found = given(loss, "loss");
    batch_loss(*cpu_backend(), settings, user, item, all,
               result(grad_user, "grad_user", user.rows, user.cols),
               result(grad_item, "grad_item", item.rows, item.cols), &sum);
    found = sum;
  });
}
