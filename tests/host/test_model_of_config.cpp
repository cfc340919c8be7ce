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
  const JointDataset data(load_dataset(folder.path()));
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
  apply_setting(config, "objective=inbatch");
  CHECK(training_settings(config).objective.kind == Objective::inbatch);

  const ModelSettings mlp = model_settings(resolve(Config(), 10));
  CHECK(mlp.projector.layers == 2);
  CHECK(mlp.projector.hidden == 20);
  CHECK(mlp.projector.bias);
  CHECK(mlp.score == Score::cosine);
  Config deep;
  apply_setting(deep, "projector_layers=3");
  CHECK(model_settings(resolve(deep, 10)).projector.layers == 3);
  CHECK(model_settings(resolve(deep, 10)).projector.bias);
}

TEST_CASE("settings of models without language vectors: a node table and its L2") {
  Config config;
  apply_setting(config, "model=lightgcn");
  const Config lightgcn = resolve(config, 0);
  const ModelSettings model = model_settings(lightgcn);
  REQUIRE(model.node_table);
  CHECK(model.node_table->dim == 64);
  CHECK(model.node_table->deviation == 0);
  CHECK(model.propagation_layers == 3);
  CHECK(model.score == Score::dot);
  CHECK(training_settings(lightgcn).objective.kind == Objective::bpr);
  CHECK(training_settings(lightgcn).l2 == 1e-4f);
  for (const char* setting : {"model=mf", "init_std=0.1", "reg=0.5", "objective=infonce"})
    apply_setting(config, setting);
  const Config mf = resolve(config, 0);
  CHECK(model_settings(mf).node_table->deviation == 0.1);
  CHECK(model_settings(mf).propagation_layers == 0);
  CHECK(training_settings(mf).l2 == 0.5f);
  CHECK(training_settings(mf).negatives == 256);
  CHECK_FALSE(model_settings(resolve(Config(), 10)).node_table);
  CHECK(training_settings(resolve(Config(), 10)).l2 == 0);
}

TEST_CASE("tables say which ablation a model is") {
  const auto label = [](const std::vector<const char*>& settings) {
    Config config;
    for (const char* setting : settings) apply_setting(config, setting);
    return model_label(resolve(config, 10));
  };
  CHECK(label({}) == "alpharec");
  CHECK(label({"projector_layers=1"}) == "alpharec w/o MLP");
  CHECK(label({"projector=linear"}) == "alpharec w/o MLP");
  CHECK(label({"layers=0"}) == "alpharec w/o GCN");
  CHECK(label({"objective=bpr", "layers=0"}) == "alpharec w/o GCN, w/o CL");
  CHECK(label({"projector.layers=4"}) == "alpharec projector of 4 layers");
  CHECK(label({"model=linear"}) == "linear");
  CHECK(label({"model=linear", "layers=2"}) == "linear K = 2");
  CHECK(label({"model=linear", "projector_layers=2"}) == "linear projector of 2 layers");
  CHECK(label({"model=linear", "objective=softmax"}) == "linear softmax");
  CHECK(label({"score=dot"}) == "alpharec score dot");
  CHECK(label({"negative_distribution=popularity"}) == "alpharec negatives by popularity");
  CHECK(label({"negative_distribution=popularity", "objective=inbatch"}) == "alpharec inbatch");
  CHECK(label({"model=mf", "objective=infonce", "score=cosine"}) == "mf infonce, score cosine");
  CHECK(label({"model=lightgcn", "layers=0"}) == "lightgcn K = 0");
  CHECK(label({"compat=alpharec-release"}) == "alpharec (alpharec-release: best epoch by test)");
  CHECK(label({"model=lightgcn"}) == "lightgcn");
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
  const JointDataset data(load_dataset(folder.path()));
  Config given;
  given.topk = {2, 5};
  given.monitor = "recall@4";
  given.objective = GENERATE("infonce", "softmax", "inbatch");
  given.negative_distribution = GENERATE("uniform", "popularity");
  CAPTURE(given.objective, given.negative_distribution);
  const Config config = fit_to(data, given);
  CountingBackend backend(make_cpu_backend(1));
  const int64_t announced = training_bytes(backend, data, config);
  const Dataset& whole = data.whole();
  Model model(backend, model_settings(config), whole.language.view(), whole.train.view());
  const Training training(model, training_settings(config));
  const SplitEvaluator evaluator(backend, whole, config.mask);
  const auto popularity = make_popularity(backend, whole.train.view());
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
