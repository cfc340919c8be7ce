// The fixtures in reduced precision: each value within a bound of its own, carried through the
// model beside it (tests/support/bounded_model.h), each step from the fixture's own state.
#include <catch2/catch.hpp>

#include <cmath>
#include <optional>

#include "tests/golden/fixture.h"
#include "tests/support/bounded_model.h"
#include "tests/support/on_backends.h"
#include "tests/support/threshold_backend.h"

namespace rec::test {
namespace {

Lists lists_of(const Fixture& fixture) {
  const CsrView train = fixture.train();
  Lists lists;
  for (int64_t u = 0; u < train.rows; ++u)
    lists.emplace_back(train.row(u), train.row(u) + train.degree(u));
  return lists;
}

Rows rows_of(const std::vector<double>& values, int64_t rows) {
  Rows matrix;
  const auto cols = int64_t(values.size()) / rows;
  for (int64_t r = 0; r < rows; ++r)
    matrix.emplace_back(values.begin() + r * cols, values.begin() + (r + 1) * cols);
  return matrix;
}

BoundedParameters parameters_of(const Fixture& fixture, const std::string& prefix) {
  BoundedParameters parameters;
  parameters.shape = model_settings(fixture).projector;
  for (int l = 0; l < parameters.shape.layers; ++l) {
    const std::string number = std::to_string(l + 1);
    const int64_t out =
        l + 1 == parameters.shape.layers ? parameters.shape.dim : parameters.shape.hidden;
    BoundedRows weight;
    for (const auto& row : rows_of(fixture.doubles(prefix + "w" + number), out)) {
      weight.push_back(BoundedModel::exact(row));
      for (Bounded& w : weight.back()) w = w.rounded(std::numeric_limits<float>::epsilon());
    }
    parameters.weight.push_back(std::move(weight));
    parameters.bias.emplace_back();
    if (parameters.shape.bias)
      parameters.bias.back() = BoundedModel::exact(fixture.doubles(prefix + "b" + number));
    for (Bounded& b : parameters.bias.back()) b = b.rounded(std::numeric_limits<float>::epsilon());
  }
  return parameters;
}

HostBatch batch_of(const Fixture& fixture, const std::string& step) {
  const auto values = [&](const std::string& name) {
    const std::vector<int32_t> ids = fixture.ids(step + name);
    return Values<int32_t>(ids.begin(), ids.end());
  };
  return make_batch(step, fixture.whole("U"), fixture.whole("I"), fixture.whole("negatives"),
                    values("users"), values("pos"), values("neg"));
}

std::string state_before(int64_t step) {
  return step == 0 ? "init_" : "step" + std::to_string(step - 1) + "_after_";
}

BoundedModel model_before(const Fixture& fixture, int64_t step, int64_t degree,
                          Precision precision) {
  return {lists_of(fixture),
          rows_of(fixture.doubles("item_language"), fixture.whole("I")),
          parameters_of(fixture, state_before(step)),
          int(fixture.whole("layers")),
          degree,
          precision};
}

Comparison compare_steps(Model& model, const Fixture& fixture, int64_t degree,
                         Precision precision) {
  Backend& backend = model.backend();
  const TrainingSettings settings = training_settings(fixture);
  Training training(model, settings);
  const int64_t nodes = model.graph().nodes(), dim = model.encoder().dim();
  Matrix<float> grad_e0(backend, nodes, dim), scratch(backend, 2 * nodes, dim);
  Comparison comparison;
  for (int64_t t = 0; t < fixture.whole("steps"); ++t) {
    const std::string step = "step" + std::to_string(t) + "_";
    load_weights(model, fixture, state_before(t));
    BoundedModel want = model_before(fixture, t, degree, precision);
    want.forward();
    model.embed();
    comparison.compare(step + "e0", to_host(backend, model.encoder().initial()), flat(want.e0));
    comparison.compare(step + "e", to_host(backend, model.representations().raw()), flat(want.e));

    const HostBatch batch = batch_of(fixture, step);
    const double loss_before = training.clock().loss_sum;
    training.step_on({batch.user.data(), settings.batch}, {batch.positive.data(), settings.batch},
                     {batch.negative.data(), settings.batch, settings.negatives});
    want.backward(settings.objective, batch);
    comparison.compare(step + "loss", std::vector<double>{training.clock().loss_sum - loss_before},
                       {want.loss});
    comparison.compare(step + "grad_e", to_host(backend, training.gradient()), flat(want.grad_e));
    for (const ParameterInfo& p : model.parameters().table()) {
      const BoundedRow gradient = gradient_of(want, p.name);
      comparison.compare(step + "grad_" + p.name,
                         slab_part(backend, model.parameters().slabs().grad, p), gradient);
      if (t > 0) continue;  // later steps' moments are not the fixture's
      const std::vector<float> before = fixture.floats("init_" + p.name);
      BoundedRow after;
      for (size_t i = 0; i < before.size(); ++i)
        after.push_back(after_first_step(settings.adam, {before[i], 0}, gradient[i]));
      comparison.compare(step + "after_" + p.name,
                         slab_part(backend, model.parameters().slabs().weight, p), after);
    }
  }
  return comparison;
}

// The fixture's own values beside the model's, which must be the same but for its bounds.
Comparison compare_fixture(const Fixture& fixture, BoundedModel model) {
  Comparison comparison;
  model.forward();
  model.backward(training_settings(fixture).objective, batch_of(fixture, "step0_"));
  comparison.compare("e0", fixture.doubles("step0_e0"), flat(model.e0));
  comparison.compare("e", fixture.doubles("step0_e"), flat(model.e));
  comparison.compare("loss", fixture.doubles("step0_loss"), {model.loss});
  comparison.compare("grad_e", fixture.doubles("step0_grad_e"), flat(model.grad_e));
  comparison.compare("grad_e0", fixture.doubles("step0_grad_e0"), flat(model.grad_e0));
  for (size_t l = 0; l < model.grad_weight.size(); ++l) {
    const std::string number = std::to_string(l + 1);
    comparison.compare("grad_w" + number, fixture.doubles("step0_grad_w" + number),
                       flat(model.grad_weight[l]));
    if (fixture.has("step0_grad_b" + number))
      comparison.compare("grad_b" + number, fixture.doubles("step0_grad_b" + number),
                         model.grad_bias[l]);
  }
  return comparison;
}

}  // namespace

// Without rounding the model is the fixture's, and its bounds are those of float32 sums.
TEST_CASE("bounds of reduced precision: the model they belong to is the fixtures'", "[golden]") {
  for (const fs::path& folder : fixtures()) {
    const Fixture fixture(folder);
    for (int64_t degree : kHybridDegrees) {
      CAPTURE(folder.string(), degree);
      const Comparison comparison =
          compare_fixture(fixture, model_before(fixture, 0, degree, Precision::fp32));
      INFO(comparison.agreement.text());
      CHECK(comparison.agreement.holds());
    }
  }
}

// A bound that holds whatever is computed says nothing.
TEST_CASE("bounds of reduced precision: they notice what is left out", "[golden]") {
  int fixtures_with_layers = 0, slope_noticed_in_bf16 = 0;
  for (const fs::path& folder : fixtures()) {
    const Fixture fixture(folder);
    if (fixture.word("encoder") != "mlp") continue;
    ++fixtures_with_layers;
    for (Precision precision : {Precision::tf32, Precision::bf16})
      for (int64_t degree : kHybridDegrees) {
        CAPTURE(folder.string(), precision_name(precision), degree);
        const BoundedModel whole = model_before(fixture, 0, degree, precision);
        CHECK(compare_fixture(fixture, whole).agreement.holds());
        BoundedModel without_leaky = whole;
        without_leaky.slope = 1;
        CHECK_FALSE(compare_fixture(fixture, without_leaky).agreement.holds());
        BoundedModel without_slope = whole;
        without_slope.slope = 0;
        const bool noticed = !compare_fixture(fixture, without_slope).agreement.holds();
        if (precision == Precision::tf32) CHECK(noticed);
        if (precision == Precision::bf16) slope_noticed_in_bf16 += noticed;
        for (size_t layer : {0, 1}) {
          BoundedParameters parameters = parameters_of(fixture, "init_");
          parameters.bias[layer].clear();
          const BoundedModel without_bias(
              lists_of(fixture), rows_of(fixture.doubles("item_language"), fixture.whole("I")),
              parameters, int(fixture.whole("layers")), degree, precision);
          CHECK_FALSE(compare_fixture(fixture, without_bias).agreement.holds());
        }
      }
  }
  // A slope of 1/100 is little more than two roundings of bfloat16: not every fixture shows it.
  if (fixtures_with_layers > 0) CHECK(slope_noticed_in_bf16 > 0);
}

TEST_CASE("fixtures in reduced precision, within bounds of their own", "[golden]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  for (const fs::path& folder : fixtures())
    for (Precision precision : precisions_of(device))
      for (int64_t degree : kHybridDegrees)
        DYNAMIC_SECTION(folder.string()
                        << " " << precision_name(precision) << " threshold " << degree) {
          const Fixture fixture(folder);
          ThresholdBackend backend(make_backend(device, 1, precision).backend, degree);
          Model model(backend, model_settings(fixture), fixture.language(), fixture.train());
          const Comparison comparison = compare_steps(model, fixture, degree, precision);
          INFO(comparison.agreement.text() << "; most of a bound in use " << comparison.most_used);
          CHECK(comparison.agreement.holds());
        }
}

}  // namespace rec::test
