// rec_gpu_limits: what this machine's GPU reaches at most.
//
//   rec_gpu_limits copy|gather|shared|gemm [--small] [--json FILE]
//
// copy     of arrays of growing size: from L2, then from memory
// gather   rows of 64 to 3072 bytes at random from 1 to 1000 MB: decides how many edges make a row
//          of the product cheaper, and what aggregation and propagation can reach
// shared   random reads of shared memory: decides whether column slabs pay
// gemm     the products of a step at the paper's sizes, the fastest of cuBLASLt's proposals
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/gpu/limits.h"
#include "bench/place.h"
#include "bench/shapes.h"
#include "host/formats/atomic_file.h"

namespace rec::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMega = 1'000'000;

std::vector<int64_t> working_sets(bool small) {
  if (small) return {kMega / 100};
  return {1 * kMega, 7 * kMega, 18 * kMega, 37 * kMega, 80 * kMega, 220 * kMega, 1000 * kMega};
}

// Says each as it comes, since what follows may not.
void add(Json& rows, Json row) {
  fmt::print("{}\n", row.dump());
  std::fflush(stdout);
  rows.push_back(std::move(row));
}

Json copies(bool small) {
  Json rows = Json::array();
  for (int64_t bytes : working_sets(small))
    add(rows,
        {{"working_set_mb", double(bytes) / kMega}, {"gb_s", gpu_copy_rate(bytes / 2) / 1e9}});
  return rows;
}

Json gathers(bool small) {
  Json rows = Json::array();
  for (int64_t row_bytes : {64, 128, 256, 512, 3072})
    for (int64_t bytes : working_sets(small))
      add(rows, {{"row_bytes", row_bytes},
                 {"working_set_mb", double(bytes) / kMega},
                 {"gb_s", gpu_gather_rate(row_bytes, bytes) / 1e9}});
  return rows;
}

Json shared_reads(bool) {
  Json rows = Json::array();
  for (int64_t load_bytes : {8, 16})
    add(rows, {{"load_bytes", load_bytes}, {"gb_s", gpu_shared_rate(load_bytes) / 1e9}});
  return rows;
}

Json products(bool) {
  Json rows = Json::array();
  for (const Shape& shape : kPaperShapes) {
    // Items alone, and with as many rows again of users whose means are kept.
    for (int64_t rows_of_z : {shape.items, 2 * shape.items})
      for (Precision precision : kPrecisions)
        for (bool weight : {false, true}) {
          const int64_t m = weight ? shape.hidden : rows_of_z,
                        k = weight ? rows_of_z : shape.language_width,
                        n = weight ? shape.language_width : shape.hidden;
          add(rows, {{"shape", shape.name},
                     {"product", weight ? "gradient of W1" : "W1 z"},
                     {"m", m},
                     {"n", n},
                     {"k", k},
                     {"precision", precision_name(precision)},
                     {"tflop_s", gpu_gemm_rate(m, n, k, precision, weight) / 1e12}});
        }
  }
  return rows;
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  using namespace rec::bench;
  std::string what, file;
  bool small = kEmulatedGpu;
  CLI::App app("What this machine's GPU reaches at most");
  app.add_option("WHAT", what, "copy, gather, shared or gemm")
      ->required()
      ->check(CLI::IsMember({"copy", "gather", "shared", "gemm"}));
  app.add_flag("--small", small, "as little as can be");
  app.add_option("--json", file, "write the results here");
  CLI11_PARSE(app, argc, argv);
  try {
    if (bench_stream() == nullptr) throw std::runtime_error("there is no CUDA device");
    if (kEmulatedGpu && what == "gemm") throw std::runtime_error("an emulated GPU has no cuBLASLt");
    const auto measure = what == "copy"     ? copies
                         : what == "gather" ? gathers
                         : what == "shared" ? shared_reads
                                            : products;
    const Json rows = measure(small);
    if (!file.empty()) rec::write_whole_file(file, rows.dump(1) + "\n");
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rec_gpu_limits: {}\n", error.what());
    return 1;
  }
}
