// A training on the emulated GPU: the memory that was announced is what it takes, and losses are
// read back once an epoch.
#include <catch2/catch.hpp>

#include <string>

#include "engine/backend.h"
#include "host/run/model_of_config.h"
#include "host/train/trainer.h"
#include "tests/emulator/device_runtime.h"
#include "tests/host/files.h"
#include "tests/support/environment.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

bool has_device() { return backend_wanted("cuda") && test_stream() != nullptr; }

Dataset small_dataset(const TemporaryFolder& folder) {
  put_small_dataset(folder);
  return load_dataset(folder.path());
}

struct Fixture {
  TemporaryFolder folder;
  JointDataset data;
  int runs = 0;

  Fixture() : data(small_dataset(folder)) {}
  void train_anew(const Config& config) {
    TrainRequest request;
    request.device = "cuda";
    request.quiet = true;
    train(data, config, RunFolder(folder / ("run" + std::to_string(runs++))), request);
  }
};

Config config_of(int64_t epochs) {
  Config config;
  config.hidden = 4;
  config.width = 3;
  config.batch = 3;
  config.negatives = 2;
  config.epochs = epochs;
  config.eval_every = 1000;
  config.topk = {2, 5};
  config.monitor = "recall@4";
  return config;
}

}  // namespace

TEST_CASE("trainer on a GPU: an epoch reads its loss back once, however many steps it has",
          "[emulator]") {
  if (!has_device()) return;
  Fixture f;
  const auto read_back = [&](int64_t epochs, int64_t batch) {
    Config config = config_of(epochs);
    config.batch = batch;
    const int64_t before = emulator::calls_made("cudaMemcpyDeviceToHost");
    f.train_anew(config);
    return emulator::calls_made("cudaMemcpyDeviceToHost") - before;
  };
  // Eight edges: steps of an epoch are 2, or 8.
  const int64_t three = read_back(3, 3);
  CHECK(read_back(7, 3) == three + 4);
  CHECK(read_back(3, 1) == three);
}

TEST_CASE("trainer on a GPU: takes the memory that was announced, and not less will do",
          "[emulator]") {
  if (!has_device()) return;
  Fixture f;
  Config many_negatives = config_of(2), wide = config_of(2), deep = config_of(2);
  many_negatives.negatives = 300;
  wide.hidden = 200;
  deep.batch = 8;
  deep.width = 40;
  deep.topk = {6};
  for (const Config& given : {many_negatives, wide, deep}) {
    const Config config = fit_to(f.data, given);
    const int64_t announced = training_bytes(*make_backend("cuda", 1).backend, f.data, config);
    CAPTURE(config.negatives, config.hidden, config.width, announced);
    emulator::take_peak_memory();
    const int64_t others = int64_t(emulator::take_peak_memory());
    f.train_anew(given);
    const int64_t taken = int64_t(emulator::take_peak_memory()) - others;
    // Every user has training items here, so no list is shorter than was announced.
    CHECK(taken == announced);

    {
      const Variable enough("REC_EMU_MEMORY", std::to_string(others + announced).c_str());
      CHECK_NOTHROW(f.train_anew(given));
    }
    const Variable too_little("REC_EMU_MEMORY", std::to_string(others + announced - 1).c_str());
    const int64_t allocations = emulator::calls_made("cudaMalloc");
    CHECK_THROWS_WITH(f.train_anew(given), Catch::StartsWith("training needs "));
    CHECK(emulator::calls_made("cudaMalloc") == allocations);
  }
}

}  // namespace rec::test
