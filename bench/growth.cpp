// rec_growth: how a training step's time and the memory of training grow with the data.
//
//   rec_growth [--factors 1,10,100] [--steps N] [--threads T] [--json FILE]
//
// Factor f is a synthetic graph (bench/shapes.h) of f times the users, items and interactions of
// MovieLens-100K, with language vectors 384 wide, hidden width 768, batch 4096 and 256 negatives.
// Beside time and memory stands edges + nodes x width, which neither should outgrow. Each size runs
// in a process of its own, so that its memory is its own.
#include <fmt/format.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/facts.h"
#include "bench/machine.h"
#include "bench/quartiles.h"
#include "bench/shapes.h"
#include "engine/backend_cpu.h"
#include "engine/training.h"
#include "host/formats/atomic_file.h"

namespace rec::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWarmUpSteps = 2;

struct Options {
  std::vector<int64_t> factors = {1, 10, 100};
  int steps = 15;
  std::string json_file;
};

Shape scaled(int64_t factor) {
  return {"MovieLens-100K, scaled", 943 * factor,   1682 * factor, 100'000 * factor,
          /*language_width=*/384,   /*hidden=*/768, /*dim=*/64,    /*batch=*/4096,
          /*negatives=*/256};
}

int64_t edges_and_nodes(const Shape& shape) { return shape.edges + shape.nodes() * shape.dim; }

// Trains on that shape for a few steps; seconds of each.
std::vector<double> step_seconds(const Shape& shape, const Options& options) {
  HostMatrix z = HostMatrix::random_unit_rows(shape.items, shape.language_width, 1);
  const auto backend = make_cpu_backend(threads());
  ModelSettings settings;
  settings.projector = {/*layers=*/2, shape.hidden, shape.dim, /*bias=*/true};
  Model model(*backend, settings, z.view(), graph_of(shape).view().items_of_user);
  model.parameters().initialise(*backend, 1);
  TrainingSettings training_settings;
  training_settings.batch = shape.batch;
  training_settings.negatives = shape.negatives;
  Training training(model, training_settings);
  std::vector<double> seconds;
  for (int step = 0; step < kWarmUpSteps + options.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    training.step();
    backend->wait();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (step >= kWarmUpSteps) seconds.push_back(taken.count());
  }
  return seconds;
}

struct Result {
  Shape shape;
  Quartiles step_s;
  int64_t memory_bytes = 0;  // the process's peak above its idle size
};

// Runs one size in a child process and reads its times through a pipe.
Result measure(const Shape& shape, const Options& options) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("rec_growth: no pipe to be had");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("rec_growth: no process to be had");
  if (child == 0) {
    int status = 1;
    try {
      const int64_t idle_kib = memory_use().resident_kib;
      const std::vector<double> seconds = step_seconds(shape, options);
      Result result{shape, quartiles(seconds), (memory_use().peak_kib - idle_kib) * 1024};
      status = ::write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1;
    } catch (const std::exception& error) {
      fmt::print(stderr, "rec_growth: {}\n", error.what());
    }
    ::_exit(status);
  }
  ::close(ends[1]);
  Result result;
  const bool read = ::read(ends[0], &result, sizeof(result)) == sizeof(result);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!read || status != 0)
    throw std::runtime_error(
        fmt::format("rec_growth: the run with {} interactions did not finish", shape.edges));
  result.shape = shape;
  return result;
}

void print_row(const Result& r, const Result& first) {
  const double work = double(edges_and_nodes(r.shape)) / double(edges_and_nodes(first.shape));
  fmt::print(
      "{:>9}{:>9}{:>11}{:>14}{:>8.0f}{:>11.1f}{:>9.1f} ..{:>8.1f}{:>8.2f}{:>10.0f}{:>8.2f}\n",
      r.shape.users, r.shape.items, r.shape.edges, edges_and_nodes(r.shape), work,
      1e3 * r.step_s.median, 1e3 * r.step_s.lower, 1e3 * r.step_s.upper,
      r.step_s.median / first.step_s.median, double(r.memory_bytes) / (1 << 20),
      double(r.memory_bytes) / double(first.memory_bytes));
  std::fflush(stdout);
}

void write_json(const std::vector<Result>& results, const std::string& file) {
  Json json = {{"facts", facts()}, {"sizes", Json::array()}};
  for (const Result& r : results)
    json["sizes"].push_back({{"users", r.shape.users},
                             {"items", r.shape.items},
                             {"edges", r.shape.edges},
                             {"edges_and_nodes_by_width", edges_and_nodes(r.shape)},
                             {"step_s", {r.step_s.lower, r.step_s.median, r.step_s.upper}},
                             {"memory_bytes", r.memory_bytes}});
  write_whole_file(file, json.dump(2) + "\n");
}

int run(const Options& options) {
  fmt::print("{:>9}{:>9}{:>11}{:>14}{:>8}{:>11}{:>21}{:>8}{:>10}{:>8}\n", "users", "items", "edges",
             "edges+nodes*d", "growth", "ms a step", "quartiles", "growth", "MiB", "growth");
  std::vector<Result> results;
  for (int64_t factor : options.factors) {
    results.push_back(measure(scaled(factor), options));
    print_row(results.back(), results.front());
  }
  if (!options.json_file.empty()) write_json(results, options.json_file);
  return 0;
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  int threads = 0;
  rec::bench::Options options;
  CLI::App app("How a training step's time and the memory of training grow with the data");
  app.add_option("--factors", options.factors, "times MovieLens-100K's size")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{10'000}))
      ->capture_default_str();
  app.add_option("--steps", options.steps, "timed steps of each size")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--threads", threads, "0: all processors")->check(CLI::Range(0, 4096));
  app.add_option("--json", options.json_file, "write the results here");
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) omp_set_num_threads(threads);
  try {
    return rec::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
