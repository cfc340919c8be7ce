// Training steps in every precision: loss, gradients and the parameters after Adam's first step,
// each value within a bound of its own, carried through the model beside it in double.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "engine/training.h"
#include "tests/support/backend_memory.h"
#include "tests/support/bounded_model.h"
#include "tests/support/on_backends.h"
#include "tests/support/small_data.h"
#include "tests/support/threshold_backend.h"

namespace rec::test {
namespace {

constexpr uint64_t kSeed = 131;

HostBatch batch_drawn(Backend& backend, const BatchView& drawn, int64_t users, int64_t items) {
  const auto values = [&](VectorView<int32_t> ids) {
    const std::vector<int32_t> host = to_host(backend, ids);
    return Values<int32_t>(host.begin(), host.end());
  };
  return make_batch("drawn", users, items, drawn.negatives(), values(drawn.user),
                    values(drawn.positive),
                    values({drawn.negative.data, drawn.rows() * drawn.negatives()}));
}

}  // namespace

TEST_CASE("precision: a step's loss, gradients and parameters are within bounds of their own",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SmallData data = small_data(132, 40, 30);
  const std::vector<ProjectorShape> shapes = {
      {1, 0, 6, false}, {1, 0, 7, true}, {2, 16, 6, true}, {3, 11, 5, true}};
  for (Precision precision : precisions_of(device))
    for (const ProjectorShape& shape : shapes)
      for (int64_t degree : kHybridDegrees)
        for (Objective objective : {Objective::infonce, Objective::bpr}) {
          if (objective == Objective::bpr && degree != 3) continue;
          CAPTURE(device, precision_name(precision), shape.layers, shape.dim, degree,
                  objective == Objective::bpr);
          ThresholdBackend backend(make_backend(device, 2, precision).backend, degree);
          Model model(backend, {shape, 2, Score::cosine}, data.language(), data.train.view());
          TrainingSettings settings;
          settings.objective.kind = objective;
          settings.batch = 24;
          settings.negatives = objective == Objective::bpr ? 1 : 5;
          Training training(model, settings);
          model.parameters().initialise(backend, kSeed);
          const std::vector<ParameterInfo>& table = model.parameters().table();
          const std::vector<float> before = to_host(backend, model.parameters().slabs().weight);
          model.embed();  // a step finishes its batch's users alone
          const std::vector<float> e =
              to_host(backend, MatrixView<const float>(model.representations().raw()));
          training.step();

          BoundedModel want(data.lists, data.language_rows(), parameters_in(shape, table, before),
                            2, degree, precision);
          want.forward();
          want.backward(settings.objective,
                        batch_drawn(backend, training.batch(), data.users(), data.items));
          Comparison comparison;
          comparison.compare("e", e, flat(want.e));
          comparison.compare("loss", std::vector<double>{training.clock().loss_sum}, {want.loss});
          comparison.compare("gradient of e", to_host(backend, training.gradient()),
                             flat(want.grad_e));
          const std::vector<float> grad = to_host(backend, model.parameters().slabs().grad);
          const std::vector<float> after = to_host(backend, model.parameters().slabs().weight);
          for (const ParameterInfo& p : table) {
            const BoundedRow gradient = gradient_of(want, p.name);
            BoundedRow step;
            for (int64_t i = 0; i < p.size(); ++i)
              step.push_back(after_first_step(settings.adam, {before[size_t(p.offset + i)], 0},
                                              gradient[size_t(i)]));
            const auto part = [&](const std::vector<float>& slab) {
              return std::vector<float>(slab.begin() + p.offset,
                                        slab.begin() + p.offset + p.size());
            };
            comparison.compare("gradient of " + p.name, part(grad), gradient);
            comparison.compare(p.name + " afterwards", part(after), step);
          }
          INFO(comparison.agreement.text() << "; most of a bound in use " << comparison.most_used);
          CHECK(comparison.agreement.holds());
        }
}

// A query stands in for an item of a graph without edges.
TEST_CASE("precision: queries are projected in it", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SmallData data = small_data(134, 12, 9);
  const ProjectorShape shape{2, 16, 6, true};
  for (Precision precision : precisions_of(device)) {
    CAPTURE(device, precision_name(precision));
    const auto backend = make_backend(device, 2, precision).backend;
    Parameters parameters(*backend, projector_table(shape, data.width));
    parameters.initialise(*backend, kSeed);
    std::vector<float> projected(size_t(data.items * shape.dim));
    project_vectors(*backend, shape, parameters, data.language(), projected.data());
    BoundedModel want(
        {}, data.language_rows(),
        parameters_in(shape, parameters.table(), to_host(*backend, parameters.slabs().weight)), 0,
        0, precision);
    want.forward();
    Comparison comparison;
    comparison.compare("query", projected, flat(want.e0));
    INFO(comparison.agreement.text());
    CHECK(comparison.agreement.holds());
  }
}

// What is multiplied is always what was trained: after a step, and after weights were given.
TEST_CASE("precision: the rounded weights are those of the slab", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SmallData data = small_data(133, 40, 30);
  for (Precision precision : precisions_of(device)) {
    CAPTURE(device, precision_name(precision));
    const auto backend = make_backend(device, 2, precision).backend;
    Model model(*backend, {{2, 16, 6, true}, 2, Score::cosine}, data.language(), data.train.view());
    Parameters& parameters = model.parameters();
    const auto check = [&] {
      const std::vector<float> weight = to_host(*backend, parameters.slabs().weight);
      const std::vector<Bf16> rounded = to_host(*backend, parameters.slabs().rounded);
      REQUIRE(rounded.size() == (precision == Precision::bf16 ? weight.size() : 0));
      int64_t wrong = 0;
      for (size_t i = 0; i < rounded.size(); ++i)
        wrong += rounded[i].bits != to_bf16(weight[i]).bits;
      CHECK(wrong == 0);
    };
    parameters.initialise(*backend, kSeed);
    check();
    TrainingSettings settings;
    settings.batch = 24;
    settings.negatives = 5;
    Training training(model, settings);
    for (int step = 0; step < 3; ++step) training.step();
    check();
    const ParameterInfo& b1 = parameters.table()[1];
    parameters.set(*backend, b1, std::vector<float>(size_t(b1.size()), 1.0f / 3));
    check();
    CHECK_THROWS_AS(parameters.set(*backend, b1, {1.0f}), std::invalid_argument);
    CHECK_THROWS_AS(parameters.set(*backend, {1.0f}), std::invalid_argument);
  }
}

}  // namespace rec::test
