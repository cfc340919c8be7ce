// The CUDA backend's recorded step, watched through the emulation: the order of its branches, what
// it asks of the runtime, the memory it takes, and what a profiler sees.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#if __has_include(<nvtx3/nvToolsExt.h>)
#define NVTX_NO_IMPL  // as a profiler includes it
#include <nvtx3/nvToolsExt.h>
#endif

#include "engine/ranker.h"
#include "tests/emulator/device_runtime.h"
#include "tests/emulator/fibres.h"
#include "tests/support/counting_backend.h"
#include "tests/support/on_backends.h"
#include "tests/support/trained.h"

namespace rec::test {
namespace {

bool has_device() { return backend_wanted("cuda") && test_stream() != nullptr; }

// The emulation's schedule for the length of a scope.
class ScheduleOf {
 public:
  explicit ScheduleOf(const char* order) : before_(emulator::schedule()) {
    emulator::set_schedule(emulator::schedule_of(order));
  }
  ~ScheduleOf() { emulator::set_schedule(before_); }
  ScheduleOf(const ScheduleOf&) = delete;
  ScheduleOf& operator=(const ScheduleOf&) = delete;

 private:
  emulator::Schedule before_;
};

// What has been asked of the runtime so far.
struct Calls {
  int64_t launches = emulator::calls_made("launch");
  int64_t graph_launches = emulator::calls_made("cudaGraphLaunch");
  int64_t recordings = emulator::calls_made("cudaGraphInstantiate");
  // what a step must not do
  int64_t memory = emulator::calls_made("cudaMalloc") + emulator::calls_made("cudaMallocManaged") +
                   emulator::calls_made("cudaFree");
  int64_t waits = emulator::calls_made("cudaStreamSynchronize") +
                  emulator::calls_made("cudaDeviceSynchronize") +
                  emulator::calls_made("cudaEventSynchronize");
  int64_t copies = emulator::calls_made("cudaMemcpyAsync");
  int64_t clearings = emulator::calls_made("cudaMemsetAsync");
};

#if defined(NVTX_VERSION)
// Stands in for a profiler: the names of the ranges opened, and how many are open.
std::vector<std::string> ranges;
int open_ranges = 0;

int push(const char* name) {
  ranges.emplace_back(name);
  return open_ranges++;
}
int pop() { return --open_ranges; }

int profile(NvtxGetExportTableFunc_t export_table) {
  const auto* const callbacks =
      static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size);
  *table[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *table[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
#endif

}  // namespace

TEST_CASE("cuda step: the same bits in whichever order the graph's branches run",
          "[engine][emulator]") {
  if (!has_device()) return;
  const SmallData data = small_data(127, 40, 30);
  Trained on_cpu("cpu", data, settings());
  on_cpu.start();
  std::vector<std::vector<int32_t>> draws;
  for (int step = 0; step < 7; ++step) {
    on_cpu.steps(1);
    draws.push_back(on_cpu.drawn());
  }
  std::vector<State> states;
  for (const char* order : {"forward", "reverse", "random:1", "random:2", "random:3"}) {
    CAPTURE(order);
    const ScheduleOf schedule(order);
    Trained t("cuda", data, settings());
    t.start();
    for (int step = 0; step < 7; ++step) {
      CAPTURE(step);
      t.steps(1);
      CHECK(t.drawn() == draws[size_t(step)]);
    }
    states.push_back(t.state());
    check_same_bits(states.back(), states.front());
  }
}

TEST_CASE("cuda step: one launch of a graph, without memory, copies or waits",
          "[engine][emulator]") {
  if (!has_device()) return;
  const SmallData data = small_data(128, 40, 30);
  Trained t("cuda", data, settings());
  t.start();
  t.steps(2);  // each of the two batches once as they are
  for (int step = 3; step < 9; ++step) {
    CAPTURE(step);
    const Calls before;
    t.steps(1);
    const Calls after;
    CHECK(after.graph_launches == before.graph_launches + 1);
    CHECK(after.memory == before.memory);
    CHECK(after.waits == before.waits);
    CHECK(after.recordings == before.recordings + (step < 5 ? 1 : 0));
    if (step < 5) continue;
    CHECK(after.launches == before.launches);
    CHECK(after.copies == before.copies);
    CHECK(after.clearings == before.clearings);
  }
  // The draw is a branch of its own.
  const int64_t choices = emulator::choices_of_graphs();
  t.steps(1);
  t.training.clock();
  CHECK(emulator::choices_of_graphs() > choices);
  // A new clock costs its upload and one draw in front of the next step.
  TrainingClock clock = t.training.clock();
  t.training.set_clock(clock);
  const Calls before;
  t.steps(2);
  const Calls after;
  CHECK(after.graph_launches == before.graph_launches + 2);
  CHECK(after.launches > before.launches);
  CHECK(after.memory == before.memory);
  CHECK(after.waits == before.waits);
}

TEST_CASE("cuda step: reserved scratch is all that operations take", "[engine][emulator]") {
  if (!has_device()) return;
  struct Case {
    const char* name;
    SmallData data;
    ModelSettings model;
    int64_t negatives, k;
    Objective objective = Objective::infonce;
  };
  const std::vector<Case> cases = {
      {"drawing takes most", small_data(129, 40, 30), alpharec(), 200, 3},
      {"ranking takes most", small_data(130, 40, 300), {{1, 0, 3, false}, 0, Score::dot}, 1, 200},
      {"the projection takes most",
       small_data(131, 300, 200, 200),
       {{3, 60, 30, true}, 1, Score::cosine},
       1,
       1},
      {"softmax takes most",
       small_data(132, 40, 300),
       {{1, 0, 30, false}, 0, Score::dot},
       1,
       1,
       Objective::softmax},
      {"softmax within the batch takes most",
       small_data(133, 40, 30),
       {{1, 0, 70, false}, 0, Score::dot},
       1,
       1,
       Objective::inbatch},
  };
  const Precision precision = GENERATE(Precision::fp32, Precision::bf16);
  for (const Case& c : cases) {
    CAPTURE(c.name, int(precision));
    const CsrView train = c.data.train.view();
    CountingBackend backend(make_backend("cuda", 1, precision).backend);
    emulator::take_peak_memory();
    const int64_t others = int64_t(emulator::take_peak_memory());
    TrainingSettings training_settings = settings();
    training_settings.negatives = c.negatives;
    training_settings.objective.kind = c.objective;

    OperationSizes sizes;
    sizes.projection = Model::projection_size(backend, c.model, train, c.data.width);
    sizes.batch = training_settings.batch;
    sizes.negatives = c.negatives;
    sizes.objective = c.objective;
    sizes.lists = c.data.users();
    sizes.k = c.k;
    const int64_t scratch = backend.scratch_bytes(sizes);
    backend.reserve_scratch(sizes);
    CHECK(int64_t(emulator::take_peak_memory()) - others == scratch);

    Model model(backend, c.model, c.data.language(), train);
    Training training(model, training_settings);
    model.parameters().initialise(backend, kSeed);
    VectorRanker ranker(backend, model.representations().user(), model.representations().item());
    std::vector<int32_t> users(size_t(c.data.users()));
    for (size_t u = 0; u < users.size(); ++u) users[u] = int32_t(u);
    for (int round = 0; round < 3; ++round) {
      for (int step = 0; step < 2; ++step) training.step();
      ranker.rank(users, {}, {}, c.k);
      ranker.rank({1, 2, 3}, {}, {}, std::max<int64_t>(c.k / 2, 1));
    }
    CHECK(int64_t(emulator::take_peak_memory()) - others == scratch + backend.most_bytes());
  }
}

#if defined(NVTX_VERSION)
TEST_CASE("cuda step: a profiler sees the operations by their names", "[engine][emulator]") {
  if (!has_device()) return;
  const SmallData data = small_data(132, 40, 30);
  Trained t("cuda", data, settings());
  t.start();
  ranges.clear();
  t.steps(1);
  const std::vector<std::string> operations = {
      "draw batch",    "step",      "draw batch",        "project",   "propagate",
      "normalise",     "objective", "normalise adjoint", "propagate", "project adjoint",
      "optimiser step"};
  CHECK(ranges == operations);
  CHECK(open_ranges == 0);
  t.steps(4);
  ranges.clear();
  t.steps(1);  // replayed
  CHECK(ranges == std::vector<std::string>{"step"});
  VectorRanker ranker(*t.backend, t.model.representations().user(),
                      t.model.representations().item());
  ranges.clear();
  ranker.rank({0}, {}, {}, 2);
  CHECK(ranges == std::vector<std::string>{"rank"});
  CHECK(open_ranges == 0);
}
#endif

}  // namespace rec::test

#if defined(NVTX_VERSION)
// What NVTX calls, where a program has it, instead of a profiler's library.
extern "C" {
NvtxInitializeInjectionNvtxFunc_t InitializeInjectionNvtx2_fnptr = rec::test::profile;
}
#endif
