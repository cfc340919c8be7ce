// The run folder's small files: metrics.jsonl and run.json, written and read back.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "host/run/run_folder.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

std::vector<MetricsLine> some_lines() {
  return {{5, 2.25, {{"recall@20", 0.5}, {"ndcg@20", 1.0 / 3}}, {}, 1.5},
          {10, 1.0 / 7, {{"recall@20", 0.75}}, {{"recall@20", 0.25}}, 0.125}};
}

}  // namespace

TEST_CASE("run folder: metrics.jsonl has one JSON object an evaluation") {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_metrics(some_lines());
  CHECK(
      get(run.metrics_file()).substr(0, get(run.metrics_file()).find('\n')) ==
      R"({"epoch":5,"loss":2.25,"valid":{"recall@20":0.5,"ndcg@20":0.3333333333333333},"seconds":1.5})");
  std::istringstream text(get(run.metrics_file()));
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(text, line);) objects.push_back(nlohmann::json::parse(line));
  REQUIRE(objects.size() == 2);
  CHECK_FALSE(objects[0].contains("test"));
  CHECK(objects[1]["test"]["recall@20"] == 0.25);
}

TEST_CASE("run folder: metrics read back as they were written") {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  CHECK(run.read_metrics().empty());
  const std::vector<MetricsLine> want = some_lines();
  run.write_metrics(want);
  const std::vector<MetricsLine> got = run.read_metrics();
  REQUIRE(got.size() == want.size());
  for (size_t l = 0; l < want.size(); ++l) {
    CHECK(got[l].epoch == want[l].epoch);
    CHECK(got[l].loss == want[l].loss);
    CHECK(got[l].valid == want[l].valid);
    CHECK(got[l].test == want[l].test);
    CHECK(got[l].seconds == want[l].seconds);
  }
}

TEST_CASE("run folder: a damaged line of metrics is named") {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  run.write_metrics(some_lines());
  const std::string good = get(run.metrics_file());
  for (const char* bad : {"{", "{}", "[]", "7", "{\"epoch\":\"x\",\"loss\":1,\"seconds\":1}",
                          "{\"epoch\":1,\"loss\":1,\"seconds\":1,\"valid\":{\"recall@20\":\"x\"}}",
                          "{\"epoch\":1,\"loss\":1,\"seconds\":1,\"valid\":7}", "\xFF"}) {
    put(run.metrics_file(), good + bad + "\n");
    CAPTURE(bad);
    CHECK_THAT(refusal([&] { run.read_metrics(); }),
               Catch::Contains("metrics.jsonl:3:") && Catch::Contains("damaged"));
  }
}

TEST_CASE("run folder: run.json, and which folders hold a run") {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  CHECK_FALSE(run.holds_a_run());
  CHECK_FALSE(RunFolder(folder / "no such folder").holds_a_run());
  CHECK_THAT(refusal([&] { run.read_facts(); }), Catch::Contains("run.json"));
  run.write_facts({{"/data/a \"b\""}, "0123456789abcdef", "v3", "cpu, 2 threads", "0.1.0", "abc"});
  const RunFacts facts = run.read_facts();
  CHECK(facts.datasets == std::vector<std::string>{"/data/a \"b\""});
  CHECK(facts.fingerprint == "0123456789abcdef");
  CHECK(facts.language == "v3");
  CHECK(facts.device == "cpu, 2 threads");
  CHECK(facts.version == "0.1.0");
  CHECK(facts.commit == "abc");
  put(run.facts_file(), "{\"dataset\":");
  CHECK_THAT(refusal([&] { run.read_facts(); }), Catch::Contains("damaged"));
  put(run.facts_file(), "{\"dataset\": 7}");
  CHECK(run.read_facts().datasets.empty());
  const std::vector<std::string> several = {"/data/a", "/data/b"};
  run.write_facts({several, "0+1", "", "", "", ""});
  CHECK(run.read_facts().datasets == several);
  put(run.facts_file(), "{\"datasets\": [\"data\", \"/data/b\"]}");  // one that it carries with it
  CHECK(run.read_facts().datasets == std::vector<std::string>{folder / "data", "/data/b"});
  put(run.facts_file(), "{\"dataset\": \"data\"}");
  CHECK(run.read_facts().datasets == std::vector<std::string>{folder / "data"});
  put(run.last_file(), "x");
  CHECK(run.holds_a_run());
}

TEST_CASE("named means: every metric at every cut-off, in order") {
  const auto named = named_means({20, 5}, {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}});
  REQUIRE(named.size() == 12);
  CHECK(named[0] == std::pair<std::string, double>{"recall@20", 1});
  CHECK(named[5] == std::pair<std::string, double>{"mrr@20", 6});
  CHECK(named[6] == std::pair<std::string, double>{"recall@5", 7});
}

}  // namespace rec::test
