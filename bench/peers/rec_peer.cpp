// rec_peer: the engine's side of bench/peers, timed piece by piece at another program's word.
//
//   rec_peer DATA --threads T
//
// Says what it is and its idle size in one line of JSON, then reads one command a line and answers
// each with one line of JSON. bench/peers/torch_peer.py speaks the same language.
//
//   load      reads the dataset and makes model and training, at the paper's settings
//   step N    makes N training steps                                         {"seconds": [...]}
//   memory    {"resident_kib": ..., "peak_kib": ...}
//   rank N    ranks all items for all users N times, 20 each, train masked   {"seconds": [...]}
//   sgemm N   multiplies users [users, d] by items [items, d]^T N times      {"seconds": [...]}
#include <cblas.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/facts.h"
#include "bench/machine.h"
#include "bench/shapes.h"
#include "engine/backend_cpu.h"
#include "engine/graph.h"
#include "engine/ranker.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/run/model_of_config.h"

namespace rec::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kListed = 20;

template <class Call>
Json timed(int64_t times, Call call) {
  std::vector<double> seconds;
  for (int64_t t = 0; t < times; ++t) {
    const auto start = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    seconds.push_back(taken.count());
  }
  return {{"seconds", seconds}};
}

// A model in training on one dataset.
class Peer {
 public:
  explicit Peer(const std::string& path)
      : data_(load_dataset(path)),
        config_(resolve({}, data_.language.width())),
        backend_(make_cpu_backend(threads())),
        model_(*backend_, model_settings(config_), data_.language.view(), data_.train.view()),
        training_(model_, training_settings(config_)),
        seen_(*backend_, data_.train.view()),
        everyone_(size_t(data_.users)) {
    std::iota(everyone_.begin(), everyone_.end(), 0);
    model_.parameters().initialise(*backend_, uint64_t(config_.seed));
  }

  Json step(int64_t times) {
    return timed(times, [&] {
      training_.step();
      backend_->wait();
    });
  }

  Json rank(int64_t times) {
    model_.embed();
    VectorRanker ranker(*backend_, model_.representations().user(),
                        model_.representations().item());
    return timed(times, [&] { ranker.rank(everyone_, {seen_.view()}, {}, kListed); });
  }

  // On the same vectors as rank, by the same library, on all threads.
  Json sgemm(int64_t times) {
    model_.embed();
    const MatrixView<const float> user = model_.representations().user(),
                                  item = model_.representations().item();
    HostMatrix score(user.rows, item.rows);
    const int before = openblas_get_num_threads();
    openblas_set_num_threads(threads());
    Json answer = timed(times, [&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasint(user.rows), blasint(item.rows),
                  blasint(user.cols), 1.0f, user.data, blasint(user.stride), item.data,
                  blasint(item.stride), 0.0f, score.view().data, blasint(item.rows));
    });
    openblas_set_num_threads(before);
    return answer;
  }

 private:
  Dataset data_;
  Config config_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  Training training_;
  DeviceCsr seen_;
  std::vector<int32_t> everyone_;
};

Json answer(const std::string& line, const std::string& data, std::unique_ptr<Peer>& peer) {
  std::istringstream words(line);
  std::string command;
  int64_t times = 1;
  words >> command >> times;
  if (command == "memory") {
    const MemoryUse use = memory_use();
    return {{"resident_kib", use.resident_kib}, {"peak_kib", use.peak_kib}};
  }
  if (command == "load") {
    peer = std::make_unique<Peer>(data);
    return Json::object();
  }
  if (!peer) throw std::invalid_argument("load comes first");
  if (command == "step") return peer->step(times);
  if (command == "rank") return peer->rank(times);
  if (command == "sgemm") return peer->sgemm(times);
  throw std::invalid_argument("'" + command + "' is not a command");
}

void serve(const std::string& data) {
  Json hello = Json::object();
  for (const auto& [name, value] : facts()) hello[name] = value;
  hello["idle_kib"] = memory_use().resident_kib;
  std::cout << hello.dump() << std::endl;
  std::unique_ptr<Peer> peer;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(line, data, peer).dump() << std::endl;
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  std::string data;
  int threads = 0;
  CLI::App app("The engine's side of bench/peers");
  app.add_option("DATA", data, "dataset folder")->required();
  app.add_option("--threads", threads, "0: all processors")->check(CLI::Range(0, 4096));
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) omp_set_num_threads(threads);
  try {
    rec::bench::serve(data);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rec_peer: {}\n", error.what());
    return 1;
  }
}
