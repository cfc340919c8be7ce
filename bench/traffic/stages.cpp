#include "bench/traffic/stages.h"

#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include <cuda_runtime_api.h>

#include "bench/ranking_case.h"
#include "bench/softmax_case.h"
#include "kernels/adam/adam.h"
#include "kernels/batch_l2/batch_l2.h"
#include "kernels/bpr/bpr.h"
#include "kernels/common/cuda_check.h"
#include "kernels/common/gemm_cuda.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "kernels/info_nce/info_nce.h"
#include "kernels/language_projection/language_projection.h"
#include "kernels/normalisation/normalisation.h"
#include "kernels/propagation/propagation.h"
#include "kernels/sampler/sampler.h"
#include "tests/support/language.h"

namespace rec::bench {
namespace {

constexpr double kFloat = 4, kId = 4;
constexpr int kLayers = 2;

double row_bytes(const Shape& shape) { return kFloat * double(shape.dim); }
double hidden_bytes(const Shape& shape) { return kFloat * double(shape.hidden); }
double uses(const Shape& shape) { return double(shape.batch) * double(1 + shape.negatives); }

void wait() { REC_CUDA_CHECK(cudaStreamSynchronize(bench_stream())); }

// ---- a training step ----

// A draw looks at some five ids of its user's list and is written once. Sorting the uses by item
// costs 24 bytes each: two passes that read and write a key or a place.
Ledger ledger_of_sampler(const Shape& shape) {
  const double draws = double(shape.batch) * double(shape.negatives);
  return {5 * kId * draws, 24 * uses(shape),
          "five ids looked at a draw; 24 bytes a use, to write and sort it"};
}
void draw(const Shape& shape, const SamplerTables& from, Place& place) {
  const SamplerTables tables = place.put(from);
  test::HostBatch room = empty_batch(shape, shape.negatives);
  const BatchView batch = place.put(room.view());
  TrainingClock clock;
  clock.seed = 7;
  const TrainingClock* const there = place.put(VectorView<const TrainingClock>(&clock, 1)).data;
  const VectorView<std::byte> scratch =
      place.scratch(cuda::draw_batch_scratch_bytes(shape.batch, shape.negatives));
  cuda::draw_batch(tables, there, 0, batch, scratch, bench_stream());
  wait();
}
void sampler(const Shape& shape, Place& place) {
  draw(shape, tables_of(shape, SamplingRule::user), place);
}

// A draw looks its number up twice: in the user's weights, and in all items'.
Ledger ledger_of_weighted_sampler(const Shape& shape) {
  const double draws = double(shape.batch) * double(shape.negatives);
  const double steps = std::ceil(std::log2(double(shape.edges) / double(shape.users))) +
                       std::ceil(std::log2(double(shape.items)));
  return {8 * steps * draws, 24 * uses(shape),
          "a search among the user's weights and one among all; 24 bytes a use, to write and sort "
          "it"};
}
// An item weighs as much as it has users.
void weighted_sampler(const Shape& shape, Place& place) {
  SamplerTables tables = tables_of(shape, SamplingRule::user);
  const GraphView graph = graph_of(shape).view();
  std::vector<int64_t> before_item{0}, outside;
  for (int64_t i = 0; i < shape.items; ++i)
    before_item.push_back(before_item.back() + graph.users_of_item.degree(i));
  for (int64_t u = 0; u < shape.users; ++u) {
    int64_t hers = 0;
    for (int64_t e = 0; e < graph.items_of_user.degree(u); ++e) {
      const int32_t item = graph.items_of_user.row(u)[e];
      outside.push_back(before_item[size_t(item)] - hers);
      hers += graph.users_of_item.degree(item);
    }
  }
  tables.weights = {{before_item.data(), int64_t(before_item.size())},
                    {outside.data(), int64_t(outside.size())}};
  draw(shape, tables, place);
}

// Random vectors, so narrow that the products, which are not counted, take no time; users split as
// for the shape's own width.
struct Language {
  static constexpr int64_t kWidth = 16;
  HostMatrix item, weight, bias;
  test::HostLanguage split;

  explicit Language(const Shape& shape)
      : item(HostMatrix::random(shape.items, kWidth, 1)),
        weight(HostMatrix::random(shape.hidden, kWidth, 2)),
        bias(1, shape.hidden),
        split(test::make_language(graph_of(shape).view(), item.view(),
                                  cuda::hybrid_degree(shape.language_width, Precision::fp32))) {}
};
VectorView<std::byte> projection_scratch(const Shape& shape, const LanguageView& z, Place& place) {
  return place.scratch(cuda::projection_scratch_bytes<float, float>(shape.users, shape.items,
                                                                    z.heavy.rows, shape.hidden));
}

// Every edge reads an id and a row of the items'; every user's row is written.
Ledger ledger_of_aggregation(const Shape& shape) {
  return {double(shape.edges) * (hidden_bytes(shape) + kId),
          double(shape.users) * hidden_bytes(shape),
          "a row and an id an edge; users' rows written"};
}
void aggregation(const Shape& shape, Place& place) {
  Language language(shape);
  HostMatrix pre(shape.nodes(), shape.hidden);
  const LanguageView z = place.put(language.split.view());
  cuda::Gemm gemm(Precision::fp32);
  cuda::project_language(
      gemm, z, place.put(graph_of(shape).view()),
      LinearView{place.put(language.weight.view()), place.put(language.bias.flat())},
      place.put(pre.view()), projection_scratch(shape, z, place), bench_stream());
  wait();
}

// Every edge reads an id and a row of the users'; every item's row is read and written.
Ledger ledger_of_aggregation_backward(const Shape& shape) {
  return {double(shape.edges) * (hidden_bytes(shape) + kId),
          2 * double(shape.items) * hidden_bytes(shape),
          "a row and an id an edge; items' rows read and written"};
}
void aggregation_backward(const Shape& shape, Place& place) {
  Language language(shape);
  HostMatrix grad_pre = HostMatrix::random(shape.nodes(), shape.hidden, 3);
  const LanguageView z = place.put(language.split.view());
  cuda::Gemm gemm(Precision::fp32);
  cuda::project_language_backward(
      gemm, z, place.put(graph_of(shape).view()), place.put(grad_pre.view()),
      {place.put(language.weight.view()), place.put(language.bias.flat())},
      projection_scratch(shape, z, place), bench_stream());
  wait();
}

Ledger ledger_of_hidden_layer(const Shape& shape) {
  return {0, double(shape.nodes()) * (hidden_bytes(shape) + row_bytes(shape)),
          "activations read, outputs written"};
}
void hidden_layer(const Shape& shape, Place& place) {
  HostMatrix act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix y(shape.nodes(), shape.dim);
  cuda::hidden_layer(place.put(act.view()), {place.put(weight.view()), place.put(bias.flat())},
                     place.put(y.view()), Precision::fp32, bench_stream());
  wait();
}

Ledger ledger_of_hidden_layer_backward(const Shape& shape) {
  return {0, 2 * double(shape.nodes()) * (hidden_bytes(shape) + row_bytes(shape)),
          "activations read and their gradients written; gradients of outputs read twice"};
}
void hidden_layer_backward(const Shape& shape, Place& place) {
  HostMatrix act = HostMatrix::random(shape.nodes(), shape.hidden, 1);
  HostMatrix weight = HostMatrix::random(shape.dim, shape.hidden, 2), bias(1, shape.dim);
  HostMatrix grad_y = HostMatrix::random(shape.nodes(), shape.dim, 3);
  HostMatrix grad_weight(shape.dim, shape.hidden), grad_bias(1, shape.dim);
  cuda::hidden_layer_backward(
      place.put(act.view()), {place.put(weight.view()), place.put(bias.flat())},
      place.put(grad_y.view()), {place.put(grad_weight.view()), place.put(grad_bias.flat())},
      place.scratch(cuda::hidden_layer_scratch_bytes(shape.nodes(), shape.hidden, shape.dim)),
      Precision::fp32, bench_stream());
  wait();
}

// Two hops over all edges both ways are four half products; forward the last one is made for a
// batch's users alone, backward the first reads their gradients alone: three and the batch's rows.
// Four rows of every node are read or written in between.
Ledger ledger_of_propagation(const Shape& shape) {
  const double users_drawn = -std::expm1(-double(shape.batch) / double(shape.users));  // a share
  const double batch_edges = users_drawn * double(shape.edges);
  return {(3.0 * double(shape.edges) + batch_edges) * row_bytes(shape),
          4.0 * double(shape.nodes()) * row_bytes(shape),
          "three half products and a batch's rows; four rows a node"};
}
void propagate(const Shape& shape, const PropagationUsers& users, Place& place) {
  HostMatrix x = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix scratch(2 * shape.nodes(), shape.dim), e(shape.nodes(), shape.dim);
  cuda::propagate(place.put(graph_of(shape).view()), kLayers, users, place.put(x.view()),
                  place.put(scratch.view()), place.put(e.view()), bench_stream());
  wait();
}
UserSubset users_of_batch(const Shape& shape, Place& place) {
  test::HostBatch batch = drawn_batch(shape, shape.negatives);
  return {place.put(batch.view()).user_start};
}
void propagation(const Shape& shape, Place& place) {
  propagate(shape, {.nonzero = {}, .wanted = users_of_batch(shape, place)}, place);
}
void propagation_backward(const Shape& shape, Place& place) {
  propagate(shape, {.nonzero = users_of_batch(shape, place), .wanted = {}}, place);
}

Ledger ledger_of_normalisation(const Shape& shape) {
  return {0, 2 * double(shape.nodes()) * row_bytes(shape), "every row read and written"};
}
void normalisation(const Shape& shape, Place& place) {
  HostMatrix e = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix n(shape.nodes(), shape.dim), norm(1, shape.nodes());
  cuda::normalise(place.put(e.view()), place.put(n.view()), place.put(norm.flat()), bench_stream());
  wait();
}

Ledger ledger_of_normalisation_backward(const Shape& shape) {
  return {0, 3 * double(shape.nodes()) * row_bytes(shape),
          "every row read, its gradient read and written"};
}
void normalisation_backward(const Shape& shape, Place& place) {
  HostMatrix n = HostMatrix::random_unit_rows(shape.nodes(), shape.dim, 1);
  HostMatrix grad = HostMatrix::random(shape.nodes(), shape.dim, 2), norm(1, shape.nodes());
  for (float& one : norm.flat()) one = 1.0f;
  cuda::normalise_backward(place.put(n.view()), place.put(norm.flat()), place.put(grad.view()),
                           bench_stream());
  wait();
}

using SampledObjective = void (*)(MatrixView<const float>, MatrixView<const float>,
                                  const BatchView&, const BatchGradientView&, double*);

// The item's row of every use is read once; its id is read and its derivative written.
Ledger ledger_of_objective(double uses, const Shape& shape) {
  return {uses * row_bytes(shape), uses * (kId + kFloat),
          "a row a use; its id read, its derivative written"};
}
void objective(const Shape& shape, int64_t negatives, SampledObjective run, Place& place) {
  HostMatrix users = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix items = HostMatrix::random_unit_rows(shape.items, shape.dim, 2);
  test::HostBatch drawn = drawn_batch(shape, negatives);
  test::HostBatchGradient gradients(drawn, shape.dim, /*score_padding=*/0);
  double losses = 0;
  run(place.put(users.view()), place.put(items.view()), place.put(drawn.view()),
      place.put(gradients.view()), place.put(VectorView<double>(&losses, 1)).data);
  wait();
}
Ledger ledger_of_info_nce(const Shape& shape) { return ledger_of_objective(uses(shape), shape); }
void info_nce(const Shape& shape, Place& place) {
  objective(
      shape, shape.negatives,
      [](auto user, auto item, const auto& batch, const auto& grad, double* loss) {
        cuda::info_nce(user, item, batch, 0.2f, grad, loss, bench_stream());
      },
      place);
}
// A row has two uses, so the user's own row and its gradient weigh as much.
Ledger ledger_of_bpr(const Shape& shape) {
  Ledger ledger = ledger_of_objective(2 * double(shape.batch), shape);
  ledger.streamed += 2 * double(shape.batch) * row_bytes(shape);
  ledger.what = "a row a use, its id read, its derivative written; a user's row and its gradient";
  return ledger;
}
void bpr(const Shape& shape, Place& place) {
  objective(
      shape, 1,
      [](auto user, auto item, const auto& batch, const auto& grad, double* loss) {
        cuda::bpr(user, item, batch, grad, loss, bench_stream());
      },
      place);
}

// Each of two walks reads both sides' rows and writes a gradient of one; the first leaves every row
// a scale and a positive's derivative. What is fused asks for no score; each block of owning rows
// needs all others again, out of L2.
constexpr double kOwnersOfBlock = 128;
Ledger ledger_of_softmax(double others, const Shape& shape) {
  const double rows = double(shape.batch);
  const double blocks =
      std::ceil(rows / kOwnersOfBlock) * others + std::ceil(others / kOwnersOfBlock) * rows;
  return {blocks * row_bytes(shape),
          2 * (rows + others) * row_bytes(shape) + rows * (2 * kFloat + 8),
          "the others' rows for every 128 of a walk; own rows read, their gradients written"};
}
Ledger ledger_of_full_softmax(const Shape& shape) {
  return ledger_of_softmax(double(shape.items), shape);
}
void full_softmax(const Shape& shape, Place& place) {
  const SoftmaxCase c(shape, place);
  cuda::softmax(c.user, c.item, c.batch, {}, kSoftmaxTau, c.grad, c.loss_sum,
                place.scratch(cuda::softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {})),
                bench_stream());
  wait();
}
// The batch's distinct positives stand for the items; each row's history is read once.
Ledger ledger_of_in_batch_softmax(const Shape& shape) {
  const test::HostBatch drawn = drawn_batch(shape, 1);
  const std::set<int32_t> candidates(drawn.positive.begin(), drawn.positive.end());
  Ledger ledger = ledger_of_softmax(double(candidates.size()), shape);
  for (int32_t u : drawn.user)
    ledger.gathered += kId * double(graph_of(shape).view().items_of_user.degree(u));
  ledger.what =
      "the others' rows for every 128 of a walk; own rows read, their gradients written; histories";
  return ledger;
}
void in_batch_softmax(const Shape& shape, Place& place) {
  const SoftmaxCase c(shape, place);
  cuda::in_batch_softmax(
      c.user, c.item, c.batch, place.put(graph_of(shape).view().items_of_user), {}, kSoftmaxTau,
      c.grad, c.loss_sum,
      place.scratch(cuda::in_batch_softmax_scratch_bytes(shape.batch, shape.items, shape.dim, {})),
      bench_stream());
  wait();
}

// Of every node the two ends of its list, and a loss that is written and read; of those that the
// batch takes a row and its gradient, in and out.
Ledger ledger_of_batch_l2(const Shape& shape) {
  test::HostBatch drawn = drawn_batch(shape, 1);
  int64_t taken = 0;
  for (int64_t v = 0; v < shape.nodes(); ++v) taken += times_taken(drawn.view(), v) > 0;
  return {0, 3 * double(taken) * row_bytes(shape) + 32 * double(shape.nodes()),
          "a row and its gradient, in and out, of nodes in the batch; two ends and a loss of all"};
}
void batch_l2(const Shape& shape, Place& place) {
  HostMatrix x = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix grad = HostMatrix::random(shape.nodes(), shape.dim, 2);
  test::HostBatch drawn = drawn_batch(shape, 1);
  std::vector<double> losses(size_t(shape.nodes()));
  double sum = 0;
  cuda::batch_l2(place.put(x.view()), place.put(drawn.view()), 1e-4f, place.put(grad.view()),
                 place.put(VectorView<double>(losses.data(), shape.nodes())),
                 place.put(VectorView<double>(&sum, 1)).data, bench_stream());
  wait();
}

// Every use reads a user's row, its own number and its derivative; items' gradients are written.
Ledger ledger_of_batch_gradient(const Shape& shape) {
  return {uses(shape) * row_bytes(shape),
          uses(shape) * (kId + kFloat) + double(shape.items) * row_bytes(shape),
          "a row a use, its number and its derivative; items' gradients written"};
}
void batch_gradient(const Shape& shape, Place& place) {
  HostMatrix user = HostMatrix::random_unit_rows(shape.users, shape.dim, 1);
  HostMatrix score = HostMatrix::random(shape.batch, 1 + shape.negatives, 2);
  HostMatrix user_row = HostMatrix::random(shape.batch, shape.dim, 3);
  HostMatrix grad_user(shape.users, shape.dim), grad_item(shape.items, shape.dim);
  test::HostBatch drawn = drawn_batch(shape, shape.negatives);
  BatchGradientView from;
  from.score = place.put(score.view());
  from.user_row = place.put(user_row.view());
  cuda::batch_gradient(place.put(user.view()), place.put(drawn.view()), from,
                       place.put(grad_user.view()), place.put(grad_item.view()), bench_stream());
  wait();
}

// The parameters do not shrink with the sample: a part of them is enough.
int64_t parameters_of(const Shape& shape) {
  return shape.hidden * (Language::kWidth + 1) + shape.dim * (shape.hidden + 1);
}
// Weights, gradients and both moments are read; all but the gradients are written.
Ledger ledger_of_adam(const Shape& shape) {
  return {0, 7 * kFloat * double(parameters_of(shape)), "four slabs read, three written"};
}
void adam(const Shape& shape, Place& place) {
  const int64_t parameters = parameters_of(shape);
  HostMatrix weight = HostMatrix::random(1, parameters, 1);
  HostMatrix grad = HostMatrix::random(1, parameters, 2);
  HostMatrix first(1, parameters), second(1, parameters);
  const int64_t updates = 0;
  cuda::adam(AdamSettings(), place.put(VectorView<const int64_t>(&updates, 1)).data,
             place.put(weight.flat()), place.put(grad.flat()), place.put(first.flat()),
             place.put(second.flat()), {}, bench_stream());
  wait();
}

// ---- an evaluation ----

constexpr int64_t kListed = 20;

// Both sides' rows are read once, and a list of ids and scores is written a user: what is fused
// asks for nothing in between. Each tile of users needs all items again, out of L2.
constexpr double kUsersOfTile = 64;
Ledger ledger_of_ranking(const Shape& shape) {
  const double tiles = std::ceil(double(shape.users) / kUsersOfTile);
  return {tiles * double(shape.items) * row_bytes(shape),
          double(shape.users) * (row_bytes(shape) + double(kListed) * (kId + kFloat)),
          "items' rows for every 64 users; users' rows read, lists written"};
}
void ranking(const Shape& shape, Place& place) {
  const RankingCase all(shape, place);
  HostMatrix score(shape.users, kListed);
  std::vector<int32_t> best(static_cast<size_t>(shape.users * kListed));
  cuda::rank(all.request, place.put(MatrixView<int32_t>(best.data(), shape.users, kListed)),
             place.put(score.view()),
             place.scratch(cuda::rank_scratch_bytes(shape.users, shape.items, shape.dim, kListed,
                                                    Precision::fp32)),
             Precision::fp32, bench_stream());
}

constexpr const char* kWhyShares =
    "the others are shared out, so that few rows still fill a device: each share reads the own "
    "rows "
    "again and writes a sum for every one, which are added up";

}  // namespace

const std::vector<Stage>& stages() {
  static const std::vector<Stage> all = {
      {"sampler", ledger_of_sampler, sampler, "",
       "a run of equal digits, 16 keys on average, begins anywhere in a sector, and so does a row "
       "of uses; the digits' counts lie tile by tile, a sector each, so that a block sums one "
       "digit's side by side; users drawn and steps of a search lie where they lie"},
      {"sampler, by popularity", ledger_of_weighted_sampler, weighted_sampler, "",
       "as the uniform one's, and a step of a search looks at 8 bytes that lie where they lie"},
      {"aggregation", ledger_of_aggregation, aggregation},
      {"aggregation, backward", ledger_of_aggregation_backward, aggregation_backward},
      {"hidden layer", ledger_of_hidden_layer, hidden_layer,
       "activations are stored over what they are made from, for the way back; every block of rows "
       "reads the whole weight, out of L2"},
      {"hidden layer, backward", ledger_of_hidden_layer_backward, hidden_layer_backward,
       "every block of rows reads its columns of the weight, out of L2; the weight's gradient is "
       "written and read once a group of rows, of which small samples have as many as large ones"},
      {"propagation", ledger_of_propagation, propagation,
       "the mean so far is written and read between the hops, a fifth row a node"},
      {"propagation, backward", ledger_of_propagation, propagation_backward,
       "the mean so far is written and read between the hops, a fifth row a node; every user who "
       "might be of the batch is looked up"},
      {"normalisation", ledger_of_normalisation, normalisation},
      {"normalisation, backward", ledger_of_normalisation_backward, normalisation_backward},
      {"info_nce", ledger_of_info_nce, info_nce},
      {"bpr", ledger_of_bpr, bpr},
      {"batch gradient", ledger_of_batch_gradient, batch_gradient},
      {"softmax", ledger_of_full_softmax, full_softmax, kWhyShares},
      {"softmax, within a batch", ledger_of_in_batch_softmax, in_batch_softmax, kWhyShares,
       "a row's own items are looked up among the candidates, which lie where they lie; what is "
       "left "
       "out of 64 scores is 8 bytes of a row each"},
      {"batch l2", ledger_of_batch_l2, batch_l2},
      {"adam", ledger_of_adam, adam},
      {"ranking", ledger_of_ranking, ranking,
       "the items are shared out, so that few users still fill a device: every share reads its "
       "users again and writes a list, which are merged; what is already seen is looked up"},
  };
  return all;
}

Shape games_sample(int64_t scale) {
  Shape shape = kPaperShapes[2];
  if (scale < 1 || scale > kMostScale)
    throw std::invalid_argument("the scale must be 1 to " + std::to_string(kMostScale));
  for (int64_t* size : {&shape.users, &shape.items, &shape.edges, &shape.batch}) *size /= scale;
  static std::map<int64_t, std::string> names;  // of graphs already made (graph_of)
  std::string& name = names[scale];
  name = "games/" + std::to_string(scale);
  shape.name = name.c_str();
  return shape;
}

}  // namespace rec::bench
