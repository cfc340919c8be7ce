// Nothing outside a backend touches backend memory on the host: training, evaluation, a new user
// and the baselines over a backend whose memory is closed outside its operations.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <numeric>

#include "engine/backend_cpu.h"
#include "engine/baselines.h"
#include "engine/evaluator.h"
#include "engine/intention.h"
#include "engine/new_user.h"
#include "engine/training.h"
#include "tests/support/backend_memory.h"
#include "tests/support/private_memory_backend.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

// Some histories lie on either side of the hybrid threshold of vectors so wide.
SmallData some_data() { return small_data(131, 40, 30, 8); }
const std::vector<int32_t> kHistory = {0, 4, 9};

// Evaluates on what was trained on, which is as good as any other split here.
std::vector<double> evaluated(Backend& backend, Ranker& ranker, const SmallData& data) {
  const DeviceCsr mask(backend, csr_of(Lists(data.lists.size()), data.items).view());
  const Evaluation evaluation = evaluate(ranker, data.train.view(), {mask.view()}, {3, 50});
  std::vector<double> values;
  for (const MetricValues& mean : evaluation.mean)
    values.insert(values.end(), mean.begin(), mean.end());
  return values;
}

struct Case {
  const char* name;
  ModelSettings model;
  ObjectiveSettings objective;
  SamplingRule sampling;
  int64_t negatives;
  bool all_tables = false;  // popularity, domains and shares
};
const Case kCases[] = {
    {"infonce on cosines", {{2, 16, 6, true}, 2, Score::cosine}, {}, SamplingRule::user, 5},
    {"bpr on dot products, one layer, no propagation",
     {{1, 0, 6, false}, 0, Score::dot},
     {Objective::bpr},
     SamplingRule::interaction,
     1},
    {"full softmax",
     {{1, 0, 6, false}, 1, Score::cosine},
     {Objective::softmax},
     SamplingRule::user,
     1},
    {"softmax within the batch",
     {{1, 0, 6, false}, 1, Score::cosine},
     {Objective::inbatch},
     SamplingRule::user,
     1},
    {"negatives by popularity, a domain with its share",
     {{1, 0, 6, false}, 1, Score::cosine},
     {},
     SamplingRule::random_user,
     5,
     true},
};

// Trains for three steps, and all that comes out of it.
std::vector<double> outcome(Backend& backend, const Case& c, const SmallData& data) {
  Model model(backend, c.model, data.language(), data.train.view());
  model.parameters().initialise(backend, 7);
  TrainingSettings settings;
  settings.objective = c.objective;
  settings.sampling = c.sampling;
  settings.batch = 24;
  settings.negatives = c.negatives;
  if (c.all_tables) {
    settings.negative_distribution = NegativeDistribution::popularity;
    settings.domains = {{data.users(), data.items}};
    settings.domain_shares = {1};
  }
  Training training(model, settings);
  TrainingClock clock;
  clock.seed = 7;
  training.set_clock(clock);
  for (int step = 0; step < 3; ++step) training.step();
  model.embed();

  std::vector<double> all = {training.clock().loss_sum};
  for (float weight : to_host(backend, model.parameters().slabs().weight)) all.push_back(weight);
  const Representations& e = model.representations();
  VectorRanker ranker(backend, e.user(), e.item());
  for (double value : evaluated(backend, ranker, data)) all.push_back(value);
  const std::vector<uint8_t> flags(static_cast<size_t>(data.items), 1);
  const Array<uint8_t> allowed(backend, flags);
  for (float score : ranker.rank({0, 2}, {}, allowed.view(), 4).score) all.push_back(score);
  const HostCsr history{1, data.items, {0, int64_t(kHistory.size())}, kHistory};
  NewUsers new_users(model, data.language(), data.train.view());
  for (NewUserGraph graph : {NewUserGraph::frozen, NewUserGraph::rebuilt})
    for (float score : NewUserRanker(model, new_users, history.view(), graph)
                           .rank({0}, {}, allowed.view(), 4)
                           .score)
      all.push_back(score);
  const std::vector<float> query(size_t(model.encoder().dim()), 0.5f);
  IntentionRanker towards(model, data.train.view(), {data.train.view()}, flags);
  const MatrixView<const float> queries(query.data(), 1, model.encoder().dim());
  for (const TopLists& lists :
       {towards.rank({0, 2}, queries, 0.4, 4), towards.rank_exactly({0, 2}, queries, 0.4, 4)})
    for (float score : lists.score) all.push_back(score);
  return all;
}

}  // namespace

TEST_CASE("private memory: training, evaluation, a new user and an intention keep out of it",
          "[engine]") {
  const SmallData data = some_data();
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto open = make_cpu_backend(2);
    PrivateMemoryBackend closed(make_cpu_backend(2));
    CHECK(outcome(closed, c, data) == outcome(*open, c, data));
  }
}

TEST_CASE("private memory: the baselines keep out of it", "[engine]") {
  const SmallData data = some_data();
  const CsrView train = data.train.view();
  const auto all_of = [&](Backend& backend) {
    std::vector<double> values;
    for (const auto& ranker :
         {make_popularity(backend, train), make_embedding_knn(backend, data.language(), train),
          make_random(backend, train, 0, 5), make_random(backend, train, 4, 5)})
      for (double value : evaluated(backend, *ranker, data)) values.push_back(value);
    return values;
  };
  const auto open = make_cpu_backend(2);
  PrivateMemoryBackend closed(make_cpu_backend(2));
  CHECK(all_of(closed) == all_of(*open));
}

TEST_CASE("private memory: a matrix on the host is copied whole, with its rows apart or not",
          "[engine]") {
  PrivateMemoryBackend backend(make_cpu_backend(1));
  std::vector<float> host(12);
  std::iota(host.begin(), host.end(), 0.0f);
  const MatrixView<const float> together(host.data(), 3, 4), apart(host.data(), 3, 2, 4);
  CHECK(Matrix<float>(backend, together).to_host(backend) == host);
  CHECK(Matrix<float>(backend, apart).to_host(backend) == std::vector<float>{0, 1, 4, 5, 8, 9});
  CHECK(Matrix<float>(backend, MatrixView<const float>(host.data(), 0, 4)).rows() == 0);
}

TEST_CASE("private memory: closed outside operations, and not to be mixed up with the host's",
          "[engine]") {
  PrivateMemoryBackend backend(make_cpu_backend(1));
  Matrix<float> e(backend, 2, 3);
  Array<float> norm(backend, 2);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  // The system reads on our behalf, and says where it may not instead of ending the process.
  CHECK(::write(ends[1], e.data(), 1) == -1);
  CHECK(errno == EFAULT);
  backend.normalise(e.view(), e.view(), norm.view());
  CHECK(::write(ends[1], e.data(), 1) == -1);
  backend.step(&backend, [&] { CHECK(::write(ends[1], e.data(), 1) == -1); });
  ::close(ends[0]);
  ::close(ends[1]);

  std::vector<float> host(6);
  const MatrixView<float> on_host(host.data(), 2, 3);
  CHECK_THROWS_AS(backend.normalise(on_host, e.view(), norm.view()), std::logic_error);
  CHECK_THROWS_AS(backend.upload(e.data(), norm.data(), sizeof(float)), std::logic_error);
  CHECK_THROWS_AS(backend.download(host.data(), host.data(), sizeof(float)), std::logic_error);
}

}  // namespace rec::test
