// The engine against fixtures from double-precision autograd (PyTorch): forward, loss, every
// gradient, Adam, rankings, and rankings moved by an intention.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/evaluator.h"
#include "engine/intention.h"
#include "tests/golden/fixture.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

// What a fixture's values may differ by: of the array's largest magnitude for what one pass
// computes, and absolutely for parameters (plain float32 PyTorch stays within 1e-6 and 3e-8).
constexpr double kArrayBound = 5e-6;
constexpr double kParameterBound = 1e-6;

// For the loss and its gradients. A score that is off by d changes a row's loss by d / tau at most,
// and its derivatives by the factor exp(d / tau): both grow as tau falls below the default, which
// the bound is for.
double loss_bound(const ObjectiveSettings& objective) {
  const ObjectiveSettings by_default;
  if (objective.kind == Objective::bpr) return kArrayBound;
  return kArrayBound * std::max(1.0, double(by_default.tau) / double(objective.tau));
}

void check_array(const std::string& name, const std::vector<float>& got,
                 const std::vector<double>& want, double bound_of_largest) {
  INFO("array " << name);
  REQUIRE(got.size() == want.size());
  double largest = 0;
  for (double w : want) largest = std::max(largest, std::abs(w));
  const double bound = bound_of_largest * largest;
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("value " << i << ": got " << got[i] << ", want " << want[i] << ", bound " << bound);
    REQUIRE(std::abs(double(got[i]) - want[i]) <= bound);
  }
}

// ids must agree wherever the wanted scores of neighbours differ by more than the bound.
void check_lists(const std::string& name, const TopLists& got,
                 const std::vector<int32_t>& want_item, const std::vector<double>& want_score) {
  REQUIRE(got.item.size() == want_item.size());
  const int64_t k = got.k;
  for (int64_t row = 0; row < got.rows; ++row)
    for (int64_t c = 0; c < k; ++c) {
      const size_t at = size_t(row * k + c);
      INFO(name << ", user " << row << ", place " << c << ": got item " << got.item[at] << " score "
                << got.score[at] << ", want " << want_item[at] << " score " << want_score[at]);
      // Fewer than k items were left: any order of nothing.
      if (std::isinf(want_score[at])) continue;
      REQUIRE(std::abs(double(got.score[at]) - want_score[at]) <= kArrayBound);
      const bool apart = (c == 0 || want_score[at - 1] - want_score[at] > kArrayBound) &&
                         (c + 1 < k ? want_score[at] - want_score[at + 1] > kArrayBound : false);
      if (apart) REQUIRE(got.item[at] == want_item[at]);
    }
}

void check_steps(Model& model, const Fixture& fixture) {
  Backend& backend = model.backend();
  const TrainingSettings settings = training_settings(fixture);
  Training training(model, settings);
  load_weights(model, fixture, "init_");
  const double bound = loss_bound(settings.objective);
  const int64_t nodes = model.graph().nodes(), dim = model.encoder().dim();
  Matrix<float> grad_e0(backend, nodes, dim), scratch(backend, 2 * nodes, dim);
  for (int64_t t = 0; t < fixture.whole("steps"); ++t) {
    const std::string step = "step" + std::to_string(t) + "_";
    const std::vector<int32_t> user = fixture.ids(step + "users"),
                               positive = fixture.ids(step + "pos"),
                               negative = fixture.ids(step + "neg");
    model.embed();
    check_array(step + "e0", to_host(backend, model.encoder().initial()),
                fixture.doubles(step + "e0"), kArrayBound);
    check_array(step + "e", to_host(backend, model.representations().raw()),
                fixture.doubles(step + "e"), kArrayBound);

    const double loss_before = training.clock().loss_sum;
    training.step_on({user.data(), settings.batch}, {positive.data(), settings.batch},
                     {negative.data(), settings.batch, settings.negatives});
    const double loss = training.clock().loss_sum - loss_before,
                 want_loss = fixture.doubles(step + "loss")[0];
    INFO(step << "loss: got " << loss << ", want " << want_loss);
    REQUIRE(std::abs(loss - want_loss) <= bound * std::abs(want_loss));
    check_array(step + "grad_e", to_host(backend, training.gradient()),
                fixture.doubles(step + "grad_e"), bound);
    backend.propagate(model.graph().view(), model.settings().propagation_layers, {},
                      training.gradient(), scratch.view(), grad_e0.view());
    check_array(step + "grad_e0", grad_e0.to_host(backend), fixture.doubles(step + "grad_e0"),
                bound);
    for (const ParameterInfo& p : model.parameters().table()) {
      check_array(step + "grad_" + p.name, slab_part(backend, model.parameters().slabs().grad, p),
                  fixture.doubles(step + "grad_" + p.name), bound);
      const std::vector<float> got = slab_part(backend, model.parameters().slabs().weight, p);
      const std::vector<double> want = fixture.doubles(step + "after_" + p.name);
      for (size_t i = 0; i < got.size(); ++i) {
        INFO(step << "after_" << p.name << ", value " << i << ": got " << got[i] << ", want "
                  << want[i]);
        REQUIRE(std::abs(double(got[i]) - want[i]) <= kParameterBound);
      }
    }
  }
}

std::vector<int32_t> all_users(const Fixture& fixture) {
  std::vector<int32_t> users;
  for (int64_t u = 0; u < fixture.whole("U"); ++u) users.push_back(int32_t(u));
  return users;
}

void check_rankings(Model& model, const Fixture& fixture) {
  Backend& backend = model.backend();
  const DeviceCsr seen(backend, fixture.train());
  model.embed();
  check_array("final_e", to_host(backend, model.representations().raw()),
              fixture.doubles("final_e"), kArrayBound);
  VectorRanker ranker(backend, model.representations().user(), model.representations().item());
  check_lists("top10", ranker.rank(all_users(fixture), {seen.view()}, {}, 10),
              fixture.ids("top10_items"), fixture.doubles("top10_scores"));
}

// Each user in turn has her e0 moved towards the query: in closed form, and by propagating
// everything again.
void check_intentions(Model& model, const Fixture& fixture) {
  if (!fixture.has("intent_query")) return;
  const std::vector<float> query = fixture.floats("intent_query");
  const std::vector<int32_t> users = all_users(fixture);
  const int64_t dim = model.encoder().dim();
  std::vector<float> target(static_cast<size_t>(dim));
  project_vectors(model.backend(), model.settings().projector, model.parameters(),
                  {query.data(), 1, int64_t(query.size())}, target.data());
  model.embed();
  const CsrView train = fixture.train();
  IntentionRanker ranker(model, train, {train}, {});
  const MatrixView<const float> same_for_all(target.data(), 1, dim);
  const double alpha = fixture.number("intent_alpha");
  const std::vector<int32_t> want = fixture.ids("intent_top10_items");
  const std::vector<double> score = fixture.doubles("intent_top10_scores");
  check_lists("intent_top10, closed form", ranker.rank(users, same_for_all, alpha, 10), want,
              score);
  check_lists("intent_top10, propagated", ranker.rank_exactly(users, same_for_all, alpha, 10), want,
              score);
}

}  // namespace

TEST_CASE("fixtures from double-precision autograd", "[golden]") {
  const std::vector<fs::path> folders = fixtures();
  if (folders.empty()) WARN("golden fixtures: none found at ../shared/golden, not checked");
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const MadeBackend made = make_backend(device, 0);
  for (const fs::path& folder : folders) DYNAMIC_SECTION(folder.string()) {
      const Fixture fixture(folder);
      Model model(*made.backend, model_settings(fixture), fixture.language(), fixture.train());
      check_steps(model, fixture);
      check_rankings(model, fixture);
      check_intentions(model, fixture);
    }
}

}  // namespace rec::test
