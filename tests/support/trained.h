// A small training on one device, for tests: started, stepped, saved and restored.
#pragma once
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/training.h"
#include "tests/support/backend_memory.h"
#include "tests/support/small_data.h"

namespace rec::test {

inline constexpr uint64_t kSeed = 111;

inline ModelSettings alpharec() { return {{2, 16, 6, true}, 2, Score::cosine}; }

inline ModelSettings lightgcn() {
  ModelSettings settings;
  settings.node_table = {6, 0.1};
  settings.propagation_layers = 3;
  settings.score = Score::dot;
  return settings;
}

inline TrainingSettings settings(SamplingRule rule = SamplingRule::user) {
  TrainingSettings s;
  s.sampling = rule;
  s.batch = 24;
  s.negatives = 5;
  s.adam.learning_rate = 0.01f;
  s.adam.weight_decay = 0.001f;
  return s;
}

// Of lightgcn().
inline TrainingSettings with_l2() {
  TrainingSettings s = settings();
  s.objective.kind = Objective::bpr;
  s.negatives = 1;
  s.l2 = 0.01f;
  return s;
}

// All that a checkpoint holds of a training.
struct State {
  std::vector<float> weight, first_moment, second_moment;
  TrainingClock clock;
};

struct Trained {
  std::unique_ptr<Backend> backend;
  Model model;
  Training training;

  Trained(const std::string& device, const SmallData& data, const TrainingSettings& s,
          int threads = 2, Precision precision = Precision::fp32,
          const ModelSettings& model_settings = alpharec())
      : backend(make_backend(device, threads, precision).backend),
        model(*backend, model_settings, data.language(), data.train.view()),
        training(model, s) {}
  void start() {
    model.parameters().initialise(*backend, kSeed);
    TrainingClock clock;
    clock.seed = kSeed;
    training.set_clock(clock);
  }
  State state() {
    const ParameterSlabs slabs = model.parameters().slabs();
    return {to_host(*backend, slabs.weight), to_host(*backend, slabs.first_moment),
            to_host(*backend, slabs.second_moment), training.clock()};
  }
  void restore(const State& state) {
    const ParameterSlabs slabs = model.parameters().slabs();
    const auto put = [&](VectorView<float> to, const std::vector<float>& from) {
      backend->upload(to.data, from.data(), sizeof(float) * from.size());
    };
    model.parameters().set(*backend, state.weight);
    put(slabs.first_moment, state.first_moment);
    put(slabs.second_moment, state.second_moment);
    training.set_clock(state.clock);
  }
  void steps(int count) {
    for (int s = 0; s < count; ++s) training.step();
  }
  // Users, positives, negatives and groupings of the last step's batch.
  std::vector<int32_t> drawn() {
    const BatchView b = training.batch();
    std::vector<int32_t> all;
    for (VectorView<int32_t> part :
         {b.user, b.positive,
          VectorView<int32_t>(b.negative.data, b.negative.rows * b.negative.cols), b.user_row,
          b.item_use}) {
      const std::vector<int32_t> host = to_host(*backend, part);
      all.insert(all.end(), host.begin(), host.end());
    }
    return all;
  }
};

inline void check_same_bits(const State& a, const State& b) {
  CHECK(a.weight == b.weight);
  CHECK(a.first_moment == b.first_moment);
  CHECK(a.second_moment == b.second_moment);
  CHECK(std::memcmp(&a.clock, &b.clock, sizeof(TrainingClock)) == 0);
}

}  // namespace rec::test
