// Training into a run folder: what is refused leaves every earlier file as it was.
#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "host/library/memory_dataset.h"
#include "host/train/trainer.h"
#include "tests/host/arrays.h"
#include "tests/host/files.h"
#include "tests/host/quick_training.h"

namespace rec::test {
namespace {

std::map<std::string, std::string> contents(const RunFolder& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(run.path()))
    files[entry.path().filename().string()] = get(entry.path().string());
  return files;
}

Dataset small_dataset(const TemporaryFolder& folder, const std::string& below = "") {
  put_small_dataset(folder, below);
  return load_dataset(folder / below);
}

struct Fixture {
  TemporaryFolder folder;
  JointDataset data;
  RunFolder run;

  Fixture() : data(small_dataset(folder)), run(folder / "run") {}
};

}  // namespace

TEST_CASE("trainer: a run folder holds what it should, and the same run the same weights") {
  const Fixture f;
  CHECK(train(f.data, quick(), f.run, quietly()) == TrainEnd::finished);
  const auto files = contents(f.run);
  for (const char* name : {"config.toml", "run.json", "metrics.jsonl", "best.safetensors",
                           "last.safetensors", "report.html"})
    CHECK(files.count(name) == 1);
  CHECK(files.size() == 6);
  CHECK(f.run.read_metrics().size() == 2);

  const RunFolder again(f.folder / "again");
  train(f.data, quick(), again, quietly());
  CHECK(contents(again).at("last.safetensors") == files.at("last.safetensors"));
  CHECK(contents(again).at("best.safetensors") == files.at("best.safetensors"));
}

TEST_CASE("trainer: two epochs and two more are four") {
  const Fixture f;
  train(f.data, quick(2), f.run, quietly());
  train(f.data, quick(4), f.run, quietly(/*resume=*/true));
  const RunFolder whole(f.folder / "whole");
  train(f.data, quick(4), whole, quietly());
  CHECK(f.run.read_metrics().size() == 4);
  // The settings that the checkpoint records are those it was last trained with: equal here.
  CHECK(get(f.run.last_file()) == get(whole.last_file()));
}

TEST_CASE("trainer: a refused start or resumption touches no file") {
  Fixture f;
  train(f.data, quick(), f.run, quietly());
  const auto before = contents(f.run);
  const auto refused = [&](const JointDataset& data, const Config& config,
                           const TrainRequest& request) {
    const std::string sentence = refusal([&] { train(data, config, f.run, request); });
    CHECK(contents(f.run) == before);
    return sentence;
  };
  CHECK_THAT(refused(f.data, quick(), quietly()), Catch::Contains("holds a run already"));

  Config other = quick(4);
  other.lr = 0.25;
  CHECK_THAT(refused(f.data, other, quietly(true)), Catch::Contains("other settings"));

  const TemporaryFolder elsewhere;
  put_small_dataset(elsewhere);
  put(elsewhere / "train.txt", "0 0 1 2\n1 1 3\n2 0 3\n3 2 4\n");
  CHECK_THAT(refused(load_dataset(elsewhere.path()), quick(4), quietly(true)),
             Catch::Contains("other data"));

  const std::string whole = before.at("last.safetensors");
  for (size_t length : {size_t{0}, size_t{5}, whole.size() / 2, whole.size() - 1}) {
    put(f.run.last_file(), whole.substr(0, length));
    const auto cut = contents(f.run);
    CAPTURE(length);
    CHECK_THAT(refusal([&] { train(f.data, quick(4), f.run, quietly(true)); }),
               Catch::Contains("last.safetensors"));
    CHECK(contents(f.run) == cut);
  }
}

TEST_CASE("trainer: overwriting leaves nothing of the old run") {
  const Fixture f;
  train(f.data, quick(4), f.run, quietly());
  train(f.data, quick(1), f.run, quietly(false, /*overwrite=*/true));
  CHECK(f.run.read_metrics().size() == 1);
  const RunFolder fresh(f.folder / "fresh");
  train(f.data, quick(1), fresh, quietly());
  CHECK(get(f.run.last_file()) == get(fresh.last_file()));
}

TEST_CASE("trainer: without a validation split the last epoch is kept") {
  Fixture f;
  put(f.folder / "valid.txt", "");
  const JointDataset data(load_dataset(f.folder.path()));
  Config config = quick(3);
  config.patience = 1;
  train(data, config, f.run, quietly());
  const auto lines = f.run.read_metrics();
  REQUIRE(lines.size() == 3);
  CHECK(lines[2].valid.empty());
  CHECK_THAT(get(f.run.best_file()), Catch::Contains("\"best_epoch\":\"3\""));
}

TEST_CASE("trainer: two datasets together, each evaluated on its own items") {
  const TemporaryFolder folder;
  std::vector<Dataset> parts;
  parts.push_back(small_dataset(folder, "books"));
  put_small_dataset(folder, "games");
  put(folder / "games/valid.txt", "0 5\n1 0\n2 1\n");
  parts.push_back(load_dataset(folder / "games"));
  const std::string fingerprints = parts[0].fingerprint + "+" + parts[1].fingerprint;
  const JointDataset data(std::move(parts));
  CHECK(data.whole().fingerprint == fingerprints);
  const RunFolder run(folder / "run");
  train(data, quick(3), run, quietly());
  const RunFacts facts = run.read_facts();
  CHECK(facts.datasets == std::vector<std::string>{folder / "books", folder / "games"});
  CHECK(facts.fingerprint == fingerprints);
  for (const MetricsLine& line : run.read_metrics()) {
    std::map<std::string, double> valid(line.valid.begin(), line.valid.end());
    CHECK(valid.size() == line.valid.size());
    CHECK(valid.at("recall@2") ==
          Approx((valid.at("books/recall@2") + valid.at("games/recall@2")) / 2));
  }

  // Stopped and resumed, the same bytes.
  const RunFolder resumed(folder / "resumed");
  train(data, quick(1), resumed, quietly());
  train(data, quick(3), resumed, quietly(/*resume=*/true));
  CHECK(get(resumed.last_file()) == get(run.last_file()));
  // One of them alone is other data.
  CHECK_THAT(refusal([&] { train(load_dataset(folder / "books"), quick(3), run, quietly(true)); }),
             Catch::Contains("other data"));

  Config config = quick();
  config.domain_shares = {1, 2, 3};
  CHECK_THAT(refusal([&] { train(data, config, RunFolder(folder / "a"), quietly()); }),
             Catch::Contains("3 shares") && Catch::Contains("2 datasets"));
  config.domain_shares = {1, 9};
  config.monitor_domain = "toys";
  CHECK_THAT(refusal([&] { train(data, config, RunFolder(folder / "a"), quietly()); }),
             Catch::Contains("'toys'") && Catch::Contains("books+games"));
  config.monitor_domain = "games";
  train(data, config, RunFolder(folder / "shares"), quietly());
  CHECK(get(RunFolder(folder / "shares").last_file()) != get(run.last_file()));
  config.model = "mf";
  CHECK_THAT(refusal([&] { train(data, config, RunFolder(folder / "a"), quietly()); }),
             Catch::Contains("mf shares nothing between datasets"));
  CHECK_FALSE(std::filesystem::exists(folder / "a"));
}

TEST_CASE("trainer: patience ends a training that gains nothing") {
  const Fixture f;
  Config config = quick(500);
  config.lr = 1e-30;  // nothing moves, so no evaluation is better than the first
  config.patience = 2;
  train(f.data, config, f.run, quietly());
  CHECK(f.run.read_metrics().size() == 3);
}

TEST_CASE("trainer: data in memory gives the bytes that the folder of it gives") {
  const Fixture f;
  train(f.data, quick(), f.run, quietly());
  const RunFolder run(f.folder / "of_arrays");
  CHECK(train(dataset_of(SmallArrays().arrays()), quick(), run, quietly()) == TrainEnd::finished);
  CHECK(get(run.best_file()) == get(f.run.best_file()));
  CHECK(get(run.last_file()) == get(f.run.last_file()));
  CHECK(run.read_facts().datasets.empty());
  CHECK(run.read_facts().fingerprint == f.run.read_facts().fingerprint);
  CHECK_THAT(get(run.facts_file()), Catch::Contains("\"datasets\": []"));
}

TEST_CASE("trainer: on_epoch hears of every evaluation, and ends the training as patience does") {
  const Fixture f;
  std::vector<MetricsLine> heard;
  TrainRequest request = quietly();
  request.on_epoch = [&](const MetricsLine& line) {
    heard.push_back(line);
    CHECK(std::filesystem::exists(f.run.last_file()));
    return line.epoch < 3;
  };
  CHECK(train(f.data, quick(50), f.run, request) == TrainEnd::finished);
  REQUIRE(heard.size() == 3);
  const std::vector<MetricsLine> lines = f.run.read_metrics();
  REQUIRE(lines.size() == 3);
  for (size_t l = 0; l < 3; ++l) {
    CHECK(heard[l].epoch == int64_t(l) + 1);
    CHECK(heard[l].loss == lines[l].loss);
    CHECK(heard[l].valid == lines[l].valid);
    CHECK_FALSE(heard[l].valid.empty());
  }
  CHECK(std::filesystem::exists(f.run.report_file()));
  CHECK(std::filesystem::exists(f.run.best_file()));
}

TEST_CASE("trainer: what on_epoch throws comes to the caller, and the run may be resumed") {
  const Fixture f;
  TrainRequest request = quietly();
  request.on_epoch = [](const MetricsLine&) -> bool { throw std::logic_error("enough"); };
  CHECK_THROWS_WITH(train(f.data, quick(3), f.run, request), "enough");
  CHECK(train(f.data, quick(3), f.run, quietly(/*resume=*/true)) == TrainEnd::finished);
  const RunFolder whole(f.folder / "whole");
  train(f.data, quick(3), whole, quietly());
  CHECK(get(f.run.last_file()) == get(whole.last_file()));
}

TEST_CASE("trainer: should_stop is asked after every step, and interrupts") {
  const Fixture f;
  int64_t steps = 0;
  TrainRequest request = quietly();
  request.should_stop = [&] { return ++steps == 3; };  // two steps an epoch
  CHECK(train(f.data, quick(3), f.run, request) == TrainEnd::interrupted);
  CHECK(steps == 3);
  CHECK(f.run.read_metrics().size() == 1);
  CHECK_FALSE(std::filesystem::exists(f.run.report_file()));
  CHECK(train(f.data, quick(3), f.run, quietly(/*resume=*/true)) == TrainEnd::finished);
  const RunFolder whole(f.folder / "whole");
  train(f.data, quick(3), whole, quietly());
  CHECK(get(f.run.last_file()) == get(whole.last_file()));
  CHECK(get(f.run.best_file()) == get(whole.best_file()));
}

TEST_CASE("trainer: from another thread the same bytes") {
  const Fixture f;
  train(f.data, quick(), f.run, quietly());
  const RunFolder run(f.folder / "elsewhere");
  std::thread([&] { train(f.data, quick(), run, quietly()); }).join();
  CHECK(get(run.last_file()) == get(f.run.last_file()));
}

}  // namespace rec::test
