// rec_peer: the engine's side of bench/peers, timed piece by piece at another program's word.
//
//   rec_peer DATA --threads T --set model=lightgcn
//
// Says what it is and its idle size in one line of JSON, then reads one command a line and answers
// each with one line of JSON. bench/peers/torch_peer.py speaks the same language.
//
//   load      reads the dataset and makes model and training, at the paper's settings and those of
//             --set                          {"users": ..., "items": ..., "steps": ..., "batch": ...}
//   step N    makes N training steps                                         {"seconds": [...]}
//   memory    {"resident_kib": ..., "peak_kib": ...}
//   rank N    ranks all items for all users N times, 20 each, train masked   {"seconds": [...]}
//   weights D writes the parameters as D/user.npy, D/item.npy, ...
//   trace N F makes N training steps, epoch after epoch, and writes what they drew to F: of each the
//             users [B], positives [B] and negatives [B, S], int32           {"loss": [...]}
//   metrics S {"recall@20": ..., "ndcg@20": ...} of the split S, masked as the setting mask says
//   sgemm N   multiplies users [users, d] by items [items, d]^T N times      {"seconds": [...]}
#include <cblas.h>
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
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
#include "engine/ranker.h"
#include "engine/training.h"
#include "host/config/config.h"
#include "host/dataset/joint_dataset.h"
#include "host/formats/npy.h"
#include "host/run/metrics_json.h"
#include "host/run/model_of_config.h"
#include "host/run/split_evaluator.h"

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
  Peer(const std::string& path, const std::vector<std::string>& settings)
      : joint_(load_dataset(path)),
        data_(joint_.whole()),
        config_(config_of(joint_, settings)),
        backend_(make_cpu_backend(threads())),
        model_(*backend_, model_settings(config_), data_.language.view(), data_.train.view()),
        training_(model_, training_settings(config_)),
        evaluator_(*backend_, data_, config_.mask),
        everyone_(size_t(data_.users)) {
    std::iota(everyone_.begin(), everyone_.end(), 0);
    model_.parameters().initialise(*backend_, uint64_t(config_.seed));
    TrainingClock clock;
    clock.seed = uint64_t(config_.seed);
    training_.set_clock(clock);
  }

  Json facts() const {
    return {{"users", data_.users},
            {"items", data_.items},
            {"steps", training_.steps_per_epoch()},
            {"batch", config_.batch},
            {"negatives", config_.negatives},
            {"layers", config_.layers},
            {"width", config_.width},
            {"lr", config_.lr},
            {"reg", config_.reg},
            {"mask", config_.mask}};
  }

  Json weights(const std::string& folder) {
    for (const ParameterInfo& p : model_.parameters().table()) {
      std::vector<float> values(size_t(p.size()));
      backend_->download(values.data(), model_.parameters().slabs().weight.data + p.offset,
                         sizeof(float) * values.size());
      write_npy(folder + "/" + p.name + ".npy",
                MatrixView<const float>(values.data(), p.rows, p.cols == 0 ? 1 : p.cols));
    }
    return Json::object();
  }

  Json trace(int64_t times, const std::string& file) {
    std::ofstream out(file, std::ios::binary);
    const auto put = [&](const int32_t* ids, int64_t count) {
      std::vector<int32_t> host(static_cast<size_t>(count));
      backend_->download(host.data(), ids, sizeof(int32_t) * host.size());
      out.write(reinterpret_cast<const char*>(host.data()),
                std::streamsize(sizeof(int32_t) * host.size()));
    };
    std::vector<double> losses;
    for (int64_t t = 0; t < times; ++t) {
      TrainingClock clock = training_.clock();
      if (clock.step == training_.steps_per_epoch()) {
        ++clock.epoch;
        clock.step = 0;
      }
      clock.loss_sum = 0;
      training_.set_clock(clock);
      training_.step();
      losses.push_back(training_.clock().loss_sum);
      const BatchView batch = training_.batch();
      put(batch.user.data, batch.rows());
      put(batch.positive.data, batch.rows());
      put(batch.negative.data, batch.rows() * batch.negatives());
    }
    if (!out.flush()) throw std::runtime_error(file + ": cannot be written");
    return {{"loss", losses}};
  }

  Json metrics(const std::string& split) {
    model_.embed();
    VectorRanker ranker = this->ranker();
    const Evaluation found =
        evaluator_.evaluate(ranker, split == "valid" ? Split::valid : Split::test, {kListed});
    return to_json(named_means(found.cutoffs, found.mean));
  }

  Json step(int64_t times) {
    return timed(times, [&] {
      training_.step();
      backend_->wait();
    });
  }

  Json rank(int64_t times) {
    model_.embed();
    VectorRanker ranker = this->ranker();
    return timed(times,
                 [&] { ranker.rank(everyone_, {evaluator_.view(Split::train)}, {}, kListed); });
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
  static Config config_of(const JointDataset& data, const std::vector<std::string>& settings) {
    Config config;
    for (const std::string& setting : settings) apply_setting(config, setting);
    return fit_to(data, config);
  }
  VectorRanker ranker() {
    return {*backend_, model_.representations().user(), model_.representations().item()};
  }

  JointDataset joint_;
  const Dataset& data_;
  Config config_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  Training training_;
  SplitEvaluator evaluator_;
  std::vector<int32_t> everyone_;
};

struct Options {
  std::string data;
  std::vector<std::string> settings;
  int threads = 0;
};

Json answer(const std::string& line, const Options& options, std::unique_ptr<Peer>& peer) {
  std::istringstream words(line);
  std::string command, first, second;
  words >> command >> first >> second;
  const int64_t times = first.empty() || first.find_first_not_of("0123456789") != std::string::npos
                            ? 1
                            : std::stoll(first);
  if (command == "memory") {
    const MemoryUse use = memory_use();
    return {{"resident_kib", use.resident_kib}, {"peak_kib", use.peak_kib}};
  }
  if (command == "load") {
    peer = std::make_unique<Peer>(options.data, options.settings);
    return peer->facts();
  }
  if (!peer) throw std::invalid_argument("load comes first");
  if (command == "step") return peer->step(times);
  if (command == "rank") return peer->rank(times);
  if (command == "weights") return peer->weights(first);
  if (command == "trace") return peer->trace(times, second);
  if (command == "metrics") return peer->metrics(first);
  if (command == "sgemm") return peer->sgemm(times);
  throw std::invalid_argument("'" + command + "' is not a command");
}

void serve(const Options& options) {
  Json hello = Json::object();
  for (const auto& [name, value] : facts()) hello[name] = value;
  hello["idle_kib"] = memory_use().resident_kib;
  std::cout << hello.dump() << std::endl;
  std::unique_ptr<Peer> peer;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(line, options, peer).dump() << std::endl;
}

}  // namespace
}  // namespace rec::bench

int main(int argc, char** argv) {
  rec::bench::Options options;
  CLI::App app("The engine's side of bench/peers");
  app.add_option("DATA", options.data, "dataset folder")->required();
  app.add_option("--set", options.settings, "one setting, key=value")->allow_extra_args(false);
  app.add_option("--threads", options.threads, "0: all processors")->check(CLI::Range(0, 4096));
  CLI11_PARSE(app, argc, argv);
  if (options.threads > 0) omp_set_num_threads(options.threads);
  try {
    rec::bench::serve(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rec_peer: {}\n", error.what());
    return 1;
  }
}
