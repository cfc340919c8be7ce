// Training: resumed equals uninterrupted bit for bit, and memory is what was announced.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/training.h"
#include "tests/support/backend_memory.h"
#include "tests/support/counting_backend.h"
#include "tests/support/on_backends.h"
#include "tests/support/plain_model.h"
#include "tests/support/small_data.h"
#include "tests/support/trained.h"

namespace rec::test {

TEST_CASE("training: stopped anywhere and resumed, the same bits as uninterrupted", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(112, 40, 30);
  for (SamplingRule rule :
       {SamplingRule::user, SamplingRule::interaction, SamplingRule::random_user}) {
    Trained whole(device, data, settings(rule));
    whole.start();
    whole.steps(7);
    const State want = whole.state();
    REQUIRE(want.clock.step == 7);
    REQUIRE(want.clock.updates == 7);
    for (int stop : {0, 1, 3, 6}) {
      Trained before(device, data, settings(rule));
      before.start();
      before.steps(stop);
      Trained after(device, data, settings(rule));
      after.restore(before.state());
      after.steps(7 - stop);
      CAPTURE(stop);
      check_same_bits(after.state(), want);
    }
  }
}

TEST_CASE("training: a node table stopped and resumed, the same bits as uninterrupted",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(128, 40, 30);
  const auto fresh = [&] {
    return std::make_unique<Trained>(device, data, with_l2(), 2, Precision::fp32, lightgcn());
  };
  const auto whole = fresh(), before = fresh(), after = fresh();
  for (Trained* t : {whole.get(), before.get()}) t->start();
  whole->steps(5);
  before->steps(3);
  after->restore(before->state());
  after->steps(2);
  check_same_bits(after->state(), whole->state());
}

TEST_CASE("training: l2 is refused where there is no node table", "[engine]") {
  CHECK_THROWS_AS(Trained("cpu", small_data(129, 40, 30), with_l2()), std::invalid_argument);
}

TEST_CASE("training: a resumed run draws what the uninterrupted one would have", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(113, 40, 30);
  Trained whole(device, data, settings()), resumed(device, data, settings());
  whole.start();
  whole.steps(3);
  resumed.restore(whole.state());
  whole.steps(1);
  resumed.steps(1);
  CHECK(whole.drawn() == resumed.drawn());
  const std::vector<int32_t> fourth = whole.drawn();
  whole.steps(1);
  CHECK(whole.drawn() != fourth);
}

TEST_CASE("training: a given batch or a new clock between steps, and the draws are the clock's",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(125, 40, 30);
  // What the step at a clock draws when nothing was drawn ahead of it.
  const auto drawn_at = [&](const TrainingClock& clock) {
    Trained fresh(device, data, settings());
    fresh.start();
    fresh.training.set_clock(clock);
    fresh.steps(1);
    return fresh.drawn();
  };
  const std::vector<int32_t> user(24, 5), positive(24, data.lists[5][0]);
  const std::vector<int32_t> negative(24 * 5, data.lists[6][0]);
  Trained t(device, data, settings());
  t.start();
  const int64_t last = t.training.steps_per_epoch() - 1;
  REQUIRE(last > 2);
  for (int round = 0; round < 3; ++round) {  // the later ones replay, where a step is recorded
    CAPTURE(round);
    t.steps(2);
    t.training.step_on({user.data(), 24}, {positive.data(), 24}, {negative.data(), 24, 5});
    CHECK(to_host(*t.backend, t.training.batch().user) == user);
    TrainingClock clock = t.training.clock();
    CHECK(clock.updates == 5 * round + 3);
    t.steps(1);
    CHECK(t.drawn() == drawn_at(clock));
    clock = t.training.clock();
    clock.epoch = 7 * round;
    clock.step = last;  // what is drawn ahead of the epoch's last step, no step takes
    t.training.set_clock(clock);
    t.steps(1);
    CHECK(t.drawn() == drawn_at(clock));
    clock = t.training.clock();
    clock.epoch = 7 * round + 1;
    clock.step = 0;
    t.training.set_clock(clock);
  }
}

TEST_CASE("training: a step draws one batch, the next one's, and reads nothing back", "[engine]") {
  const SmallData data = small_data(126, 40, 30);
  CountingBackend backend(make_backend("cpu", 2).backend);
  Model model(backend, alpharec(), data.language(), data.train.view());
  Training training(model, settings());
  model.parameters().initialise(backend, kSeed);
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    const int64_t downloads = backend.downloads(), draws = backend.draws();
    TrainingClock clock;
    clock.seed = kSeed;
    clock.epoch = epoch;
    training.set_clock(clock);
    for (int step = 0; step < 4; ++step) training.step();
    CHECK(backend.draws() - draws == 1 + 4);  // the first was not drawn ahead
    CHECK(backend.downloads() == downloads);
  }
}

TEST_CASE("training: the same bits with 1, 2 and 3 threads", "[engine][threads]") {
  const SmallData data = small_data(114, 40, 30);
  Trained one("cpu", data, settings(), 1);
  one.start();
  one.steps(4);
  for (int threads : {2, 3}) {
    Trained more("cpu", data, settings(), threads);
    more.start();
    more.steps(4);
    CAPTURE(threads);
    check_same_bits(more.state(), one.state());
  }
}

TEST_CASE("training: the loss falls on a small dataset", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const Objective objective = GENERATE(Objective::infonce, Objective::softmax, Objective::inbatch);
  CAPTURE(device, int(objective));
  const SmallData data = small_data(115, 40, 30);
  TrainingSettings s = settings();
  s.objective.kind = objective;
  Trained t(device, data, s);
  t.start();
  t.steps(20);
  const double first = t.training.clock().loss_sum;
  t.steps(160);
  TrainingClock clock = t.training.clock();
  clock.loss_sum = 0;
  t.training.set_clock(clock);
  t.steps(20);
  CHECK(t.training.clock().loss_sum < first);
}

TEST_CASE("training: of several domains, a row's own items alone stand against its positive",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const Objective objective = GENERATE(Objective::softmax, Objective::inbatch);
  CAPTURE(device, int(objective));
  const SmallData a = small_data(123, 30, 20), b = small_data(124, 60, 30), both = joined(a, b);
  TrainingSettings s = settings();
  s.objective.kind = objective;
  s.negatives = 1;
  s.domains = {{a.users(), a.items}, {b.users(), b.items}};
  Trained t(device, both, s);
  t.start();
  t.steps(3);
  const double before = t.training.clock().loss_sum;
  t.steps(1);
  const auto host = [&](VectorView<int32_t> from) {
    const std::vector<int32_t> values = to_host(*t.backend, from);
    return Values<int32_t>(values.begin(), values.end());
  };
  const BatchView drawn = t.training.batch();
  const HostBatch batch =
      make_batch("drawn", both.users(), both.items, 1, host(drawn.user), host(drawn.positive),
                 host({drawn.negative.data, drawn.rows()}));
  const int64_t dim = t.model.encoder().dim();
  Rows e;  // as the step made it
  const std::vector<float> values = to_host(*t.backend, t.model.representations().raw());
  for (size_t at = 0; at < values.size(); at += size_t(dim))
    e.emplace_back(values.begin() + ptrdiff_t(at), values.begin() + ptrdiff_t(at) + dim);
  const double want = plain_loss(s.objective, Score::cosine, e, both.lists, batch, s.domains);
  // A unit vector's values are off by dim + 4 roundings, a score by those of two and of its sum; the
  // loss by what its exponents are off by, the positive's and another's.
  const double of_score =
      double(2 * (dim + 4) + 4 * dim) * double(std::numeric_limits<float>::epsilon());
  const double bound = 2 * of_score / double(s.objective.tau);
  CHECK(std::abs(t.training.clock().loss_sum - before - want) <= bound);
  CHECK(std::abs(plain_loss(s.objective, Score::cosine, e, both.lists, batch) - want) > 2 * bound);
}

TEST_CASE("training: memory is what was announced, and a step takes none", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  struct Case {
    const char* name;
    SmallData data;
    ModelSettings model;
    TrainingSettings training;
  };
  TrainingSettings many_negatives = settings();
  many_negatives.negatives = 200;
  TrainingSettings by_popularity = settings();
  by_popularity.negative_distribution = NegativeDistribution::popularity;
  const std::vector<Case> cases = {
      {"parameters weigh most",
       small_data(116, 40, 30, 64),
       {{2, 200, 32, true}, 2, Score::cosine},
       settings()},
      {"the batch weighs most", small_data(117, 40, 30), alpharec(), many_negatives},
      {"nodes weigh most",
       small_data(118, 900, 300),
       {{2, 40, 24, true}, 2, Score::cosine},
       settings()},
      {"edges weigh most",
       small_data(119, 900, 12, 1),
       {{1, 0, 1, false}, 0, Score::dot},
       settings()},
      {"one layer", small_data(120, 90, 30), {{2, 16, 6, true}, 1, Score::dot}, settings()},
      {"a node table", small_data(127, 900, 300), lightgcn(), with_l2()},
      {"edges weigh most, by popularity",
       small_data(119, 900, 12, 1),
       {{1, 0, 1, false}, 0, Score::dot},
       by_popularity}};
  for (const Case& c : cases)
    for (Precision precision : precisions_of(device)) {
      CAPTURE(c.name, precision_name(precision));
      CountingBackend backend(make_backend(device, 2, precision).backend);
      const int64_t model_bytes =
          Model::bytes_needed(backend, c.model, c.data.train.view(), c.data.width);
      const int64_t training_bytes = Training::bytes_needed(
          c.training, c.data.users(), c.data.items, c.data.train.entries(), c.model.dim());
      Model model(backend, c.model, c.data.language(), c.data.train.view());
      const int64_t for_model = backend.bytes();
      Training training(model, c.training);
      const int64_t for_training = backend.bytes() - for_model;
      CHECK(model_bytes >= for_model);
      CHECK(double(model_bytes) <= 1.1 * double(for_model));
      CHECK(training_bytes >= for_training);
      CHECK(double(training_bytes) <= 1.1 * double(for_training));

      model.parameters().initialise(backend, kSeed);
      const int64_t before = backend.allocations();
      training.step();
      training.step();
      CHECK(backend.allocations() == before);
    }
}

TEST_CASE("training: a batch larger than train is refused", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(121);
  const MadeBackend made = make_backend(device, 1);
  Model model(*made.backend, alpharec(), data.language(), data.train.view());
  TrainingSettings s = settings();
  s.batch = data.train.entries() + 1;
  CHECK_THROWS_AS(Training(model, s), std::invalid_argument);
  s.batch = data.train.entries();
  CHECK(Training(model, s).steps_per_epoch() == 1);
}

TEST_CASE("training: in reduced precision, resumed has the same bits as uninterrupted",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  const SmallData data = small_data(125, 40, 30);
  for (Precision precision : precisions_of(device)) {
    CAPTURE(device, precision_name(precision));
    Trained whole(device, data, settings(), 2, precision);
    Trained before(device, data, settings(), 2, precision);
    Trained after(device, data, settings(), 2, precision);
    for (Trained* t : {&whole, &before}) t->start();
    whole.steps(5);
    before.steps(2);
    after.restore(before.state());
    after.steps(3);
    check_same_bits(after.state(), whole.state());
  }
}

// What backends owe each other: the same draws, and metrics alike; here the losses, which
// drift apart as Adam turns rounding into different steps.
TEST_CASE("training: every backend draws the same batches for three epochs", "[engine]") {
  const SmallData data = small_data(122, 40, 30);
  std::vector<TrainingSettings> kinds = {settings(), settings(SamplingRule::interaction),
                                         settings(SamplingRule::random_user)};
  kinds.push_back(kinds.back());
  kinds.back().negative_distribution = NegativeDistribution::popularity;
  for (const TrainingSettings& kind : kinds) {
    std::vector<std::vector<int32_t>> drawn;
    for (const std::string& device : test_devices()) {
      Trained t(device, data, kind);
      t.start();
      std::vector<int32_t> all;
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        TrainingClock clock = t.training.clock();
        clock.epoch = epoch;
        clock.step = 0;
        t.training.set_clock(clock);
        for (int64_t step = 0; step < t.training.steps_per_epoch(); ++step) {
          t.training.step();
          const std::vector<int32_t> one = t.drawn();
          all.insert(all.end(), one.begin(), one.end());
        }
      }
      drawn.push_back(std::move(all));
    }
    for (const std::vector<int32_t>& other : drawn) CHECK(other == drawn.front());
  }
}

TEST_CASE("training: a checkpoint of one backend goes on with another", "[engine]") {
  const SmallData data = small_data(123, 40, 30);
  const std::string from = GENERATE(from_range(test_devices()));
  const std::string to = GENERATE(from_range(test_devices()));
  CAPTURE(from, to);
  Trained before(from, data, settings()), after(to, data, settings());
  before.start();
  before.steps(3);
  after.restore(before.state());
  check_same_bits(after.state(), before.state());
  after.steps(2);
  CHECK(after.training.clock().step == 5);
  CHECK(after.training.clock().updates == 5);
}

// The address of a training that is gone may come back; the steps recorded for it must not.
TEST_CASE("training: a second training is not mistaken for the first", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const SmallData data = small_data(124, 40, 30);
  const auto backend = make_backend(device, 2).backend;
  std::vector<std::vector<float>> weights;
  for (int round = 0; round < 3; ++round) {
    Model model(*backend, alpharec(), data.language(), data.train.view());
    const auto training = std::make_unique<Training>(model, settings());
    model.parameters().initialise(*backend, kSeed);
    TrainingClock clock;
    clock.seed = kSeed;
    training->set_clock(clock);
    for (int step = 0; step < 4; ++step) training->step();
    weights.push_back(to_host(*backend, model.parameters().slabs().weight));
  }
  CHECK(weights[1] == weights[0]);
  CHECK(weights[2] == weights[0]);
}

}  // namespace rec::test
