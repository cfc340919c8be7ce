// Checkpoints: everything comes back bit for bit, and what does not fit is refused by name.
#include <catch2/catch.hpp>
#include <limits>

#include "host/run/checkpoint.h"
#include "tests/host/files.h"
#include "tests/support/backend_memory.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

struct Trained {
  SmallData data = small_data(201);
  std::unique_ptr<Backend> backend = make_backend("cpu", 1).backend;
  Model model;

  explicit Trained(int64_t hidden = 7)
      : model(*backend, {{2, hidden, 5, true}, 2, Score::cosine}, data.language(),
              data.train.view()) {}
  std::vector<float> slab(VectorView<float> values) { return to_host(*backend, values); }
};

CheckpointFacts some_facts() {
  CheckpointFacts facts;
  facts.config = "model = \"alpharec\"\ntau = 0.15\n";
  facts.dataset = "0123456789abcdef";
  facts.language_model = {"all-MiniLM-L6-v2", "a \"basis\"\n"};
  facts.language_width = 8;
  facts.clock = {std::numeric_limits<uint64_t>::max(), 3, 17, 12345678901, 0.1 + 0.2};
  facts.selection = {1.0 / 3, 2, 4};
  return facts;
}

// Two steps, so that the moments are not 0.
void train(Trained& t) {
  TrainingSettings settings;
  settings.batch = 9;
  settings.negatives = 3;
  t.model.parameters().initialise(*t.backend, 5);
  Training training(t.model, settings);
  training.step();
  training.step();
}

}  // namespace

TEST_CASE("checkpoint: facts and slabs come back bit for bit") {
  const TemporaryFolder folder;
  Trained before;
  train(before);
  const CheckpointFacts facts = some_facts();
  write_safetensors(folder / "last.safetensors", make_checkpoint(before.model, facts, true));

  const SafetensorsFile file = read_safetensors(folder / "last.safetensors");
  const CheckpointFacts got = read_facts(file, "last");
  CHECK(got.config == facts.config);
  CHECK(got.dataset == facts.dataset);
  CHECK(got.language_model.model == facts.language_model.model);
  CHECK(got.language_model.basis == facts.language_model.basis);
  CHECK(got.language_width == facts.language_width);
  CHECK(got.clock.seed == facts.clock.seed);
  CHECK(got.clock.epoch == facts.clock.epoch);
  CHECK(got.clock.step == facts.clock.step);
  CHECK(got.clock.updates == facts.clock.updates);
  CHECK(got.clock.loss_sum == facts.clock.loss_sum);
  CHECK(got.selection.best == facts.selection.best);
  CHECK(got.selection.best_epoch == facts.selection.best_epoch);
  CHECK(got.selection.without_gain == facts.selection.without_gain);

  Trained after;
  restore_weights(after.model, file, "last");
  restore_moments(after.model, file, "last");
  const ParameterSlabs want = before.model.parameters().slabs();
  const ParameterSlabs have = after.model.parameters().slabs();
  CHECK(after.slab(have.weight) == before.slab(want.weight));
  CHECK(after.slab(have.first_moment) == before.slab(want.first_moment));
  CHECK(after.slab(have.second_moment) == before.slab(want.second_moment));
  CHECK(before.slab(want.second_moment) != std::vector<float>(size_t(want.weight.size), 0.0f));
}

TEST_CASE("checkpoint: the same training gives the same bytes") {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    Trained t;
    train(t);
    write_safetensors(folder / name, make_checkpoint(t.model, some_facts(), true));
  }
  CHECK(get(folder / "a") == get(folder / "b"));
}

TEST_CASE("checkpoint: another shape, and moments that are not there") {
  Trained small, large(8);
  const SafetensorsFile weights = make_checkpoint(small.model, some_facts(), false);
  CHECK_THAT(refusal([&] { restore_weights(large.model, weights, "best"); }),
             Catch::StartsWith("best:") && Catch::Contains("'w1' is [7, 8]") &&
                 Catch::Contains("need [8, 8]"));
  CHECK_THAT(refusal([&] { restore_moments(small.model, weights, "best"); }),
             Catch::StartsWith("best:") && Catch::Contains("no tensor 'first_moment.w1'"));
}

TEST_CASE("checkpoint: damaged or foreign metadata") {
  Trained t;
  const SafetensorsFile whole = make_checkpoint(t.model, some_facts(), false);
  for (const auto& [key, value] : whole.metadata) {
    SafetensorsFile file = whole;
    file.metadata.erase(key);
    CAPTURE(key);
    CHECK_THAT(refusal([&] { read_facts(file, "best"); }),
               Catch::StartsWith("best:") && Catch::Contains("'" + key + "'"));
  }
  for (const char* key : {"seed", "epoch", "step", "updates", "loss_sum", "best", "best_epoch",
                          "without_gain", "language_width"}) {
    SafetensorsFile file = whole;
    file.metadata[key] = "12x";
    CAPTURE(key);
    CHECK_THAT(refusal([&] { read_facts(file, "best"); }),
               Catch::Contains("damaged value for '" + std::string(key) + "'"));
  }
  SafetensorsFile newer = whole;
  newer.metadata["format"] = "rec_engine 2";
  CHECK_THAT(refusal([&] { read_facts(newer, "best"); }), Catch::Contains("another version"));
}

TEST_CASE("selection: the best epoch, and patience from there") {
  Selection selection;
  CHECK(selection.take(0.0, 5));  // the first is the best so far, whatever it is
  CHECK(selection.take(0.2, 10));
  CHECK_FALSE(selection.take(0.2, 15));  // equal is no gain
  CHECK_FALSE(selection.take(0.1, 20));
  CHECK(selection.best == 0.2);
  CHECK(selection.best_epoch == 10);
  CHECK(selection.exhausted(2));
  CHECK_FALSE(selection.exhausted(3));
  CHECK_FALSE(selection.take(std::numeric_limits<double>::quiet_NaN(), 25));
  CHECK(selection.exhausted(3));
  CHECK(selection.take(0.3, 30));
  CHECK_FALSE(selection.exhausted(1));
}

}  // namespace rec::test
