// rec_steps: training steps, epochs, evaluations and lists moved by an intention, of one size, on the
// processors or on the GPU.
//
//   rec_steps --shape books|movies|games|ml-1m|amazon-scientific|tiny
//             [--device cpu|cuda] [--precision fp32|tf32|bf16]
//             [--steps N] [--json FILE] [--graph FOLDER]
//
// The graph is synthetic (bench/shapes.h), the language vectors are random. --graph writes the
// graph into a folder and ends: row_start.i64, col.i32, and shape.json, for other programs to be
// timed on the same one.
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/facts.h"
#include "bench/machine.h"
#include "bench/quartiles.h"
#include "bench/shapes.h"
#include "engine/backend.h"
#include "engine/intention.h"
#include "engine/ranker.h"
#include "engine/training.h"
#include "host/formats/atomic_file.h"

namespace rec::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWarmUpSteps = 20;
constexpr int kEvaluations = 5;
constexpr int64_t kListed = 20;

struct Options {
  std::string shape = "books", device = "cuda", precision = "fp32", json_file, graph_folder;
  int steps = 100, threads = 0;
};

const Shape& shape_named(const std::string& name) {
  for (const Shape& shape : kPaperShapes)
    if (name == shape.name) return shape;
  for (const Shape& shape : kShapes)
    if (name == shape.name) return shape;
  for (const Shape& shape : kTinyShapes)
    if (name == shape.name) return shape;
  throw std::invalid_argument("--shape " + name +
                              ": use books, movies, games, ml-1m, amazon-scientific or tiny");
}

Json to_json(const Quartiles& q) { return {q.lower, q.median, q.upper}; }

template <class Call>
double seconds_of(Call call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return taken.count();
}

// Everyone's list by the model alone, and moved towards a query of her own, which is projected
// before. Taken in turns, so that both meet the same machine.
Json intention_times(Model& model, CsrView train, MatrixView<const float> z) {
  Backend& backend = model.backend();
  const int64_t dim = model.settings().projector.dim;
  std::vector<float> projected(static_cast<size_t>(z.rows * dim));
  std::vector<double> projection, plain, moved;
  for (int e = 0; e < kEvaluations; ++e)
    projection.push_back(seconds_of([&] {
      project_vectors(backend, model.settings().projector, model.parameters(), z, projected.data());
    }));
  std::vector<int32_t> everyone(static_cast<size_t>(train.rows));
  std::iota(everyone.begin(), everyone.end(), 0);
  std::vector<float> query;  // user u asks for item u, and around again
  for (int64_t u = 0; u < train.rows; ++u) {
    const auto row = projected.begin() + ptrdiff_t(u % z.rows * dim);
    query.insert(query.end(), row, row + ptrdiff_t(dim));
  }
  model.embed();
  const DeviceCsr seen(backend, train);
  VectorRanker ranker(backend, model.representations().user(), model.representations().item());
  IntentionRanker towards(model, train, {train}, {});
  for (int e = 0; e <= kEvaluations; ++e) {
    const double a = seconds_of([&] { ranker.rank(everyone, {seen.view()}, {}, kListed); });
    const double b = seconds_of([&] {
      towards.rank(everyone, {query.data(), train.rows, dim}, 0.3, kListed);
    });
    if (e == 0) continue;
    plain.push_back(a);
    moved.push_back(b);
  }
  return {{"queries_projected", z.rows},
          {"projection_s", to_json(quartiles(projection))},
          {"plain_ranking_s", to_json(quartiles(plain))},
          {"moved_ranking_s", to_json(quartiles(moved))},
          {"moved_of_plain", quartiles(moved).median / quartiles(plain).median}};
}

Json run(const Shape& shape, const Options& options) {
  const MadeBackend made =
      make_backend(options.device, options.threads, precision_named(options.precision));
  Backend& backend = *made.backend;
  HostMatrix z = HostMatrix::random_unit_rows(shape.items, shape.language_width, 1);
  ModelSettings settings;
  settings.projector = {/*layers=*/2, shape.hidden, shape.dim, /*bias=*/true};
  Model model(backend, settings, z.view(), graph_of(shape).view().items_of_user);
  model.parameters().initialise(backend, 1);
  TrainingSettings training_settings;
  training_settings.batch = std::min(shape.batch, shape.edges);
  training_settings.negatives = shape.negatives;
  Training training(model, training_settings);

  // Each step waited for, and then as training does them: one after the other.
  std::vector<double> steps;
  for (int step = 0; step < kWarmUpSteps + options.steps; ++step) {
    const double seconds = seconds_of([&] {
      training.step();
      backend.wait();
    });
    if (step >= kWarmUpSteps) steps.push_back(seconds);
  }
  const double in_a_row = seconds_of([&] {
    for (int step = 0; step < options.steps; ++step) training.step();
    backend.wait();
  });
  const TrainingClock clock = training.clock();

  DeviceCsr seen(backend, graph_of(shape).view().items_of_user);
  std::vector<int32_t> everyone(static_cast<size_t>(shape.users));
  std::iota(everyone.begin(), everyone.end(), 0);
  std::vector<double> evaluations;
  for (int e = 0; e <= kEvaluations; ++e) {
    const double seconds = seconds_of([&] {
      model.embed();
      VectorRanker ranker(backend, model.representations().user(), model.representations().item());
      ranker.rank(everyone, {seen.view()}, {}, kListed);
    });
    if (e > 0) evaluations.push_back(seconds);
  }
  if (!std::isfinite(clock.loss_sum)) throw std::runtime_error("rec_steps: the loss is not finite");
  return {{"shape", shape.name},
          {"backend", backend.name()},
          {"precision", options.precision},
          {"users", shape.users},
          {"items", shape.items},
          {"edges", shape.edges},
          {"step_s", to_json(quartiles(steps))},
          {"step_in_a_row_s", in_a_row / options.steps},
          {"epoch_s", in_a_row / options.steps * double(training.steps_per_epoch())},
          {"steps_per_epoch", training.steps_per_epoch()},
          {"evaluation_s", to_json(quartiles(evaluations))},
          {"intention", intention_times(model, graph_of(shape).view().items_of_user, z.view())}};
}

// All bytes of values, as they lie in memory.
template <class T>
void write_values(const std::filesystem::path& file, const T* values, int64_t count) {
  write_whole_file(file.string(),
                   std::string(reinterpret_cast<const char*>(values), size_t(count) * sizeof(T)));
}

void write_graph(const Shape& shape, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const CsrView items_of_user = graph_of(shape).view().items_of_user;
  write_values(folder / "row_start.i64", items_of_user.row_start, items_of_user.rows + 1);
  write_values(folder / "col.i32", items_of_user.col, items_of_user.row_start[items_of_user.rows]);
  const Json json = {{"shape", shape.name},
                     {"users", shape.users},
                     {"items", shape.items},
                     {"edges", shape.edges},
                     {"width", shape.language_width},
                     {"hidden", shape.hidden},
                     {"dim", shape.dim},
                     {"batch", std::min(shape.batch, shape.edges)},
                     {"negatives", shape.negatives}};
  write_whole_file((folder / "shape.json").string(), json.dump(1) + "\n");
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  using namespace rec::bench;
  Options options;
  CLI::App app("Training steps, epochs and evaluations of one size");
  app.add_option("--shape", options.shape, "books, movies, games, ml-1m, amazon-scientific or tiny")
      ->capture_default_str();
  app.add_option("--device", options.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--precision", options.precision, "fp32, tf32 or bf16")->capture_default_str();
  app.add_option("--steps", options.steps, "timed steps")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: all processors")->check(CLI::Range(0, 4096));
  app.add_option("--json", options.json_file, "write the results here");
  app.add_option("--graph", options.graph_folder, "write the graph into this folder and end");
  CLI11_PARSE(app, argc, argv);
  try {
    const Shape& shape = shape_named(options.shape);
    if (!options.graph_folder.empty()) {
      write_graph(shape, options.graph_folder);
      return 0;
    }
    const Json result = run(shape, options);
    fmt::print("{}\n", result.dump(1));
    if (!options.json_file.empty()) rec::write_whole_file(options.json_file, result.dump(1) + "\n");
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rec_steps: {}\n", error.what());
    return 1;
  }
}
