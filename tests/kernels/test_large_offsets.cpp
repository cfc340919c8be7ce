// Offsets are 64-bit: kernels give the same bits whether a small input lies close together or at
// offsets beyond 2^31 elements. What the small input's answer should be is each kernel's own test.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "engine/host_csr.h"
#include "kernels/batch_gradient/batch_gradient.h"
#include "kernels/hidden_layer/hidden_layer.h"
#include "kernels/info_nce/info_nce.h"
#include "kernels/language_projection/language_projection.h"
#include "kernels/normalisation/normalisation.h"
#include "kernels/propagation/propagation.h"
#include "kernels/ranking/ranking.h"
#include "kernels/sampler/sampler.h"
#include "kernels/sampler/sampler_draws.h"
#include "kernels/sampler/sampler_order.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/far_arrays.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/objectives.h"

namespace rec::test {
namespace {

constexpr int64_t kDim = 20;

HostGraph small_graph() { return random_graph("9 users, 8 items", 9, 8, 3, 5); }

GuardedMatrix normal(int64_t rows, int64_t cols, uint64_t seed) {
  std::mt19937_64 random(seed);
  return GuardedMatrix(rows, cols).fill_normal(random);
}

// Whole numbers of 64ths: a matrix product of them is exact, whatever path the library takes to it.
GuardedMatrix dyadic(int64_t rows, int64_t cols, uint64_t seed) {
  std::mt19937_64 random(seed);
  GuardedMatrix made(rows, cols);
  fill_dyadic(made, random);
  return made;
}

bool same_ids(MatrixView<const int32_t> a, MatrixView<const int32_t> b) {
  for (int64_t r = 0; r < a.rows; ++r)
    if (!std::equal(a.row(r), a.row(r) + a.cols, b.row(r))) return false;
  return true;
}

// The gradients of one layer, each weight row followed by its bias.
struct LayerGradient {
  GuardedMatrix weight, bias;
  LayerGradient(int64_t out, int64_t in) : weight(out, in), bias(1, out) {}
  LinearGradientView view() { return {weight.view(), {bias.view().row(0), bias.view().cols}}; }
};

}  // namespace

TEST_CASE("offsets beyond 2^31: propagation", "[kernels]") {
  const HostGraph graph = small_graph();
  const FarGraph far_graph(graph.view());
  const int64_t nodes = graph.view().nodes();
  const GuardedMatrix x = normal(nodes, kDim, 1);
  GuardedMatrix scratch(2 * nodes, kDim), e(nodes, kDim);
  const FarMatrix<float> far_x(x.view()), far_scratch(2 * nodes, kDim), far_e(nodes, kDim);
  for (int layers : {0, 2}) {
    CAPTURE(layers);
    cpu::propagate(graph.view(), layers, {}, x.view(), scratch.view(), e.view());
    cpu::propagate(far_graph.view(), layers, {}, far_x.view(), far_scratch.view(), far_e.view());
    CHECK(same_bits(far_e.view(), e.view()));
  }
}

TEST_CASE("offsets beyond 2^31: language_projection", "[kernels]") {
  constexpr int64_t kWidth = 12, kOut = 150;  // two column slabs
  const HostGraph graph = small_graph();
  const CsrView owned = graph.view().items_of_user;
  std::vector<int32_t> heavy, light;
  for (int64_t u = 0; u < owned.rows; ++u)
    if (owned.degree(u) > 0) (u % 3 == 2 ? heavy : light).push_back(int32_t(u));
  const HostCsr light_users_of_item = transpose(owned, [](int64_t u) { return u % 3 != 2; });
  const GuardedMatrix z = dyadic(owned.cols, kWidth, 1);
  const GuardedMatrix heavy_z = dyadic(int64_t(heavy.size()), kWidth, 2);
  const GuardedMatrix weight = dyadic(kOut, kWidth, 3), bias = dyadic(1, kOut, 4);
  const GuardedMatrix grad_pre = dyadic(graph.view().nodes(), kOut, 5);

  LanguageView language;
  language.item = z.view();
  language.heavy = heavy_z.view();
  language.heavy_user = {heavy.data(), int64_t(heavy.size())};
  language.light_user = {light.data(), int64_t(light.size())};
  language.light_users_of_item = light_users_of_item.view();
  const VectorView<const float> bias_view(bias.view().row(0), kOut);
  GuardedMatrix pre(graph.view().nodes(), kOut), scratch = grad_pre;
  LayerGradient grad(kOut, kWidth);
  cpu::project_language(language, graph.view(), {weight.view(), bias_view}, pre.view());
  cpu::project_language_backward(language, graph.view(), scratch.view(), grad.view());

  const FarGraph far_graph(graph.view());
  const FarMatrix<float> far_z(z.view()), far_heavy(heavy_z.view()), far_weight(weight.view());
  const FarMatrix<float> far_pre(graph.view().nodes(), kOut), far_scratch(grad_pre.view());
  const FarMatrix<float> far_grad_weight(kOut, kWidth);
  const FarCsr far_light(light_users_of_item.view());
  language.item = far_z.view();
  language.heavy = far_heavy.view();
  language.light_users_of_item = far_light.view();
  LayerGradient far_grad(kOut, kWidth);
  cpu::project_language(language, far_graph.view(), {far_weight.view(), bias_view}, far_pre.view());
  cpu::project_language_backward(language, far_graph.view(), far_scratch.view(),
                                 {far_grad_weight.view(), far_grad.view().bias});

  CHECK(same_bits(far_pre.view(), pre.view()));
  CHECK(same_bits(far_grad_weight.view(), grad.weight.view()));
  CHECK(same_bits(far_grad.bias.view(), grad.bias.view()));
}

TEST_CASE("offsets beyond 2^31: hidden_layer", "[kernels]") {
  constexpr int64_t kNodes = 10, kHidden = 36;
  const GuardedMatrix pre = dyadic(kNodes, kHidden, 1), weight = dyadic(kDim, kHidden, 2);
  const GuardedMatrix bias = dyadic(1, kDim, 3), grad_y = dyadic(kNodes, kDim, 4);
  // Positive, so that LeakyReLU leaves them as they are and products stay exact.
  GuardedMatrix act = pre;
  for (int64_t r = 0; r < kNodes; ++r)
    for (int64_t c = 0; c < kHidden; ++c) act.view()(r, c) = std::abs(act.view()(r, c)) + 1.0f;
  const FarMatrix<float> far_act(act.view()), far_weight(weight.view()), far_grad_y(grad_y.view());
  const VectorView<const float> bias_view(bias.view().row(0), kDim);
  GuardedMatrix y(kNodes, kDim);
  const FarMatrix<float> far_y(kNodes, kDim), far_grad_weight(kDim, kHidden);
  LayerGradient grad(kDim, kHidden), far_grad(kDim, kHidden);

  cpu::hidden_layer(act.view(), {weight.view(), bias_view}, y.view());
  cpu::hidden_layer(far_act.view(), {far_weight.view(), bias_view}, far_y.view());
  CHECK(same_bits(far_y.view(), y.view()));

  cpu::hidden_layer_backward(act.view(), {weight.view(), bias_view}, grad_y.view(), grad.view());
  cpu::hidden_layer_backward(far_act.view(), {far_weight.view(), bias_view}, far_grad_y.view(),
                             {far_grad_weight.view(), far_grad.view().bias});
  CHECK(same_bits(far_act.view(), act.view()));
  CHECK(same_bits(far_grad_weight.view(), grad.weight.view()));
  CHECK(same_bits(far_grad.bias.view(), grad.bias.view()));
}

TEST_CASE("offsets beyond 2^31: normalisation", "[kernels]") {
  constexpr int64_t kRows = 9;
  const GuardedMatrix e = normal(kRows, kDim, 1);
  GuardedMatrix n(kRows, kDim), grad = normal(kRows, kDim, 2);
  const FarMatrix<float> far_e(e.view()), far_n(kRows, kDim), far_grad(grad.view());
  std::vector<float> norm(kRows), far_norm(kRows);
  cpu::normalise(e.view(), n.view(), {norm.data(), kRows});
  cpu::normalise(far_e.view(), far_n.view(), {far_norm.data(), kRows});
  CHECK(same_bits(far_n.view(), n.view()));
  CHECK(far_norm == norm);
  cpu::normalise_backward(n.view(), {norm.data(), kRows}, grad.view());
  cpu::normalise_backward(far_n.view(), {far_norm.data(), kRows}, far_grad.view());
  CHECK(same_bits(far_grad.view(), grad.view()));
}

TEST_CASE("offsets beyond 2^31: info_nce and batch_gradient", "[kernels]") {
  constexpr int64_t kUsers = 7, kItems = 8;
  HostBatch batch = random_batch("small", kUsers, kItems, 12, 5, 3);
  const GuardedMatrix user = normal(kUsers, kDim, 1), item = normal(kItems, kDim, 2);
  const FarMatrix<float> far_user(user.view()), far_item(item.view());
  HostBatchGradient grad(batch, kDim, 0), far_grad(batch, kDim, 0);
  const FarMatrix<float> far_user_row(batch.rows(), kDim);
  BatchGradientView far_view = far_grad.view();
  far_view.user_row = far_user_row.view();
  const double loss = cpu::info_nce(user.view(), item.view(), batch.view(), 0.15f, grad.view());
  CHECK(cpu::info_nce(far_user.view(), far_item.view(), batch.view(), 0.15f, far_view) == loss);
  CHECK(same_bits(far_user_row.view(), grad.user_row.view()));

  GuardedMatrix grad_user(kUsers, kDim), grad_item(kItems, kDim);
  const FarMatrix<float> far_grad_user(kUsers, kDim), far_grad_item(kItems, kDim);
  cpu::batch_gradient(user.view(), batch.view(), grad.view(), grad_user.view(), grad_item.view());
  cpu::batch_gradient(far_user.view(), batch.view(), far_view, far_grad_user.view(),
                      far_grad_item.view());
  CHECK(same_bits(far_grad_user.view(), grad_user.view()));
  CHECK(same_bits(far_grad_item.view(), grad_item.view()));
}

TEST_CASE("offsets beyond 2^31: ranking", "[kernels]") {
  constexpr int64_t k = 3;
  const HostGraph mask = small_graph();
  const CsrView owned = mask.view().items_of_user;
  const FarCsr far_owned(owned);
  const GuardedMatrix user = dyadic(owned.rows, kDim, 1), item = dyadic(owned.cols, kDim, 2);
  const FarMatrix<float> far_user(user.view()), far_item(item.view()), far_score(owned.rows, k);
  const FarMatrix<int32_t> far_top(owned.rows, k);
  std::vector<int32_t> everyone, top(size_t(owned.rows * k));
  for (int64_t u = 0; u < owned.rows; ++u) everyone.push_back(int32_t(u));
  GuardedMatrix score(owned.rows, k);
  RankingRequest request;
  request.user = user.view();
  request.item = item.view();
  request.user_row = request.user_id = {everyone.data(), owned.rows};
  request.mask[0] = owned;
  request.masks = 1;
  const MatrixView<int32_t> top_view(top.data(), owned.rows, k);
  cpu::rank(request, top_view, score.view());
  request.user = far_user.view();
  request.item = far_item.view();
  request.mask[0] = far_owned.view();
  cpu::rank(request, far_top.view(), far_score.view());
  CHECK(same_ids(far_top.view(), top_view));
  CHECK(same_bits(far_score.view(), score.view()));
}

// The place list * items + item of a score is the one number in ranking that grows with users x
// items. Hidden, as it takes 2^31 scores to get there: rec_tests "[slow]".
TEST_CASE("offsets beyond 2^31: ranking names a score past 2^31 others", "[.][slow]") {
  constexpr int64_t kLists = 65'540, kItems = 32'769;
  static_assert((kLists - 1) * kItems > kPast32Bits);
  std::vector<float> user(kLists, 1.0f), item(kItems, 1.0f);
  user.back() = std::numeric_limits<float>::quiet_NaN();
  std::vector<int32_t> everyone(kLists), top(kLists);
  for (int64_t u = 0; u < kLists; ++u) everyone[size_t(u)] = int32_t(u);
  std::vector<float> score(kLists);
  RankingRequest request;
  request.user = {user.data(), kLists, 1};
  request.item = {item.data(), kItems, 1};
  request.user_row = request.user_id = {everyone.data(), kLists};
  CHECK_THROWS_WITH(cpu::rank(request, {top.data(), kLists, 1}, {score.data(), kLists, 1}),
                    Catch::Contains("list 65539 for item 0 "));
}

// 120,000 users who own 32,000 items each: 3.8e9 interactions,
// of which only the rows drawn are written.
TEST_CASE("offsets beyond 2^31: sampler", "[kernels]") {
  constexpr int64_t kUsers = 120'000, kDegree = 32'000, kItems = 33'000, kEdges = kUsers * kDegree;
  constexpr int64_t kRows = 32, kNegatives = 4;
  std::vector<int64_t> start;
  for (int64_t u = 0; u <= kUsers; ++u) start.push_back(u * kDegree);
  const VirtualArray<int32_t> items(kEdges);
  const auto first_item = [](int64_t u) { return int32_t(1 + u % (kItems - kDegree)); };
  std::vector<int32_t> active;
  for (int64_t u = 0; u < kUsers; ++u) active.push_back(int32_t(u));

  TrainingClock clock;
  clock.seed = 3;
  clock.step = 100'000'000;  // the step's rows, too, stand beyond 2^31 in the epoch
  static_assert((100'000'000 + 1) * kRows < kEdges && 100'000'000 * kRows > kPast32Bits);
  const EpochOrder order(clock.seed, clock.epoch, kEdges);
  for (SamplingRule rule : {SamplingRule::user, SamplingRule::interaction}) {
    const bool by_user = rule == SamplingRule::user;
    CAPTURE(by_user);
    std::vector<int64_t> place, user;
    for (int64_t b = 0; b < kRows; ++b) {
      place.push_back(order.at(clock.step * kRows + b));
      user.push_back(by_user ? place.back() % kUsers : place.back() / kDegree);
      for (int64_t e = 0; e < kDegree; ++e)
        items.data()[user.back() * kDegree + e] = first_item(user.back()) + int32_t(e);
    }
    const auto is_far = [&](int64_t u) { return u * kDegree > kPast32Bits; };
    REQUIRE(std::any_of(user.begin(), user.end(), is_far));

    HostBatch batch;
    batch.users = kUsers, batch.items = kItems, batch.negatives = kNegatives;
    batch.user.resize(kRows), batch.positive.resize(kRows), batch.user_row.resize(kRows);
    batch.negative.resize(kRows * kNegatives), batch.item_use.resize(kRows * (1 + kNegatives));
    batch.user_start.resize(kUsers + 1), batch.item_start.resize(kItems + 1);
    const SamplerTables tables{
        {kUsers, kItems, start.data(), items.data()}, {active.data(), kUsers}, rule};
    cpu::draw_batch(tables, clock, 0, batch.view());
    for (int64_t b = 0; b < kRows; ++b) {
      CAPTURE(b, place[size_t(b)]);
      const int64_t u = user[size_t(b)];
      CHECK(batch.user[size_t(b)] == u);
      // The items an unwritten row would give, all 0, are nobody's.
      const auto owns = [&](int32_t i) {
        return i >= first_item(u) && i < first_item(u) + kDegree;
      };
      CHECK(owns(batch.positive[size_t(b)]));
      if (!by_user)
        CHECK(batch.positive[size_t(b)] == first_item(u) + int32_t(place[size_t(b)] % kDegree));
      for (int64_t j = 1; j <= kNegatives; ++j) CHECK_FALSE(owns(batch.item_of(b, j)));
    }
  }
}

}  // namespace rec::test
