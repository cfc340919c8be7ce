// From settings in words to the engine's own.
#include <catch2/catch.hpp>

#include "engine/backend_cpu.h"
#include "engine/baselines.h"
#include "host/run/model_of_config.h"
#include "host/run/split_evaluator.h"
#include "tests/host/files.h"
#include "tests/support/counting_backend.h"

namespace rec::test {

TEST_CASE("settings fitted to a dataset: resolved, and no batch larger than train") {
  const TemporaryFolder folder;
  put_small_dataset(folder);  // 8 training interactions, width 2
  const Dataset data = load_dataset(folder.path());
  const Config fitted = fit_to(data, Config());
  CHECK(fitted.batch == 8);
  CHECK(fitted.hidden == 4);
  Config small;
  small.batch = 3;
  CHECK(fit_to(data, small).batch == 3);
}

TEST_CASE("settings in words become the engine's") {
  Config config;
  for (const char* setting :
       {"model=linear", "objective=bpr", "score=dot", "sampling=interaction", "lr=0.25",
        "weight_decay=0.5", "tau=0.75", "layers=3", "width=9", "batch=11", "monitor=map@7"})
    apply_setting(config, setting);
  config = resolve(config, 10);
  const ModelSettings model = model_settings(config);
  CHECK(model.projector.layers == 1);
  CHECK_FALSE(model.projector.bias);
  CHECK(model.projector.dim == 9);
  CHECK(model.propagation_layers == 3);
  CHECK(model.score == Score::dot);
  const TrainingSettings training = training_settings(config);
  CHECK(training.objective.kind == Objective::bpr);
  CHECK(training.objective.tau == 0.75f);
  CHECK(training.sampling == SamplingRule::interaction);
  CHECK(training.negative_distribution == NegativeDistribution::uniform);
  CHECK(training.adam.learning_rate == 0.25f);
  CHECK(training.adam.weight_decay == 0.5f);
  CHECK(training.batch == 11);
  CHECK(training.negatives == 1);
  CHECK(monitor_of(config).metric == Metric::map);
  CHECK(monitor_of(config).k == 7);

  for (const char* setting :
       {"sampling=random_user", "negative_distribution=popularity", "negative_exponent=1.5"})
    apply_setting(config, setting);
  const TrainingSettings other = training_settings(config);
  CHECK(other.sampling == SamplingRule::random_user);
  CHECK(other.negative_distribution == NegativeDistribution::popularity);
  CHECK(other.negative_exponent == 1.5);
  CHECK(training_settings(Config()).sampling == SamplingRule::user);

  apply_setting(config, "objective=softmax");
  CHECK(training_settings(config).objective.kind == Objective::softmax);

  const ModelSettings mlp = model_settings(resolve(Config(), 10));
  CHECK(mlp.projector.layers == 2);
  CHECK(mlp.projector.hidden == 20);
  CHECK(mlp.projector.bias);
  CHECK(mlp.score == Score::cosine);
}

TEST_CASE("masks: every split but the evaluated one, or train alone") {
  using Splits = std::vector<Split>;
  CHECK(masked_splits(Split::test, "others") == Splits{Split::train, Split::valid});
  CHECK(masked_splits(Split::valid, "others") == Splits{Split::train, Split::test});
  CHECK(masked_splits(Split::test, "train") == Splits{Split::train});
  CHECK(masked_splits(Split::valid, "train") == Splits{Split::train});
}

TEST_CASE("memory that training is announced to take is what it takes") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  const Dataset data = load_dataset(folder.path());
  Config given;
  given.topk = {2, 5};
  given.monitor = "recall@4";
  given.objective = GENERATE("infonce", "softmax");
  given.negative_distribution = GENERATE("uniform", "popularity");
  CAPTURE(given.objective, given.negative_distribution);
  const Config config = fit_to(data, given);
  CountingBackend backend(make_cpu_backend(1));
  const int64_t announced = training_bytes(backend, data, config);
  Model model(backend, model_settings(config), data.language.view(), data.train.view());
  const Training training(model, training_settings(config));
  const SplitEvaluator evaluator(backend, data, config.mask);
  const auto popularity = make_popularity(backend, data.train.view());
  model.embed();
  VectorRanker ranker(backend, model.representations().user(), model.representations().item());
  evaluator.evaluate(ranker, Split::valid, {2, 5, 4});
  evaluator.evaluate(*popularity, Split::test, {2, 5});
  // The backend's own scratch is not allocated through it.
  const int64_t scratch = backend.scratch_bytes(operation_sizes(backend, data, config));
  CHECK(scratch > 0);
  // Every user has training items here, so no list is shorter than was announced.
  CHECK(announced == backend.most_bytes() + scratch);
}

}  // namespace rec::test
