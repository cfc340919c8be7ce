// A run saved with its dataset: the program opens it wherever it lies, and what was loaded is loaded
// again.
#include <catch2/catch.hpp>

#include "host/commands/program.h"
#include "host/library/recommender.h"
#include "host/library/saved_run.h"
#include "tests/host/arrays.h"
#include "tests/host/files.h"
#include "tests/host/quick_training.h"

namespace rec::test {
namespace {

LoadRequest request_of(const std::string& run) {
  LoadRequest request;
  request.run = run;
  request.device = "cpu";
  request.threads = 1;
  return request;
}

int program(const std::vector<const char*>& words) {
  return run_program(int(words.size()), words.data());
}

struct Saved {
  TemporaryFolder folder;
  RunFolder trained{folder / "trained"};
  Dataset data;
  std::string place = folder / "saved";

  explicit Saved(const std::string& model = "alpharec") {
    SmallArrays small;
    small.user_ids = {"ann", "bob", "cy", "di"};
    if (model == "mf") {  // nothing but the arrays says how many items there are
      small.language.reset();
      small.item_ids.clear();
      small.titles.clear();
    }
    DatasetArrays arrays = small.arrays();
    arrays.name = "shop";
    data = dataset_of(arrays);
    Config config = quick();
    config.model = model;
    if (model == "mf") config.hidden = 0;
    train(data, config, trained, quietly());
    save_run(place, load_run(request_of(trained.path()), data));
  }
};

}  // namespace

TEST_CASE("saved run: the same weights, settings, data and lists") {
  for (const char* model : {"alpharec", "mf"}) {
    CAPTURE(model);
    const Saved saved(model);
    const RunFolder run(saved.place);
    CHECK(get(run.best_file()) == get(saved.trained.best_file()));
    CHECK(get(run.config_file()) == get(saved.trained.config_file()));
    std::filesystem::rename(saved.place, saved.folder / "moved");
    LoadedRun loaded = load_run(request_of(saved.folder / "moved"));
    CHECK(loaded.trained_on == TrainedOn::this_dataset);
    CHECK(loaded.notices.empty());
    CHECK(loaded.data.fingerprint == saved.data.fingerprint);
    CHECK(loaded.data.items == saved.data.items);
    CHECK(loaded.data.user_name(1) == "bob");
    Recommender again(std::move(loaded)),
        before(load_run(request_of(saved.trained.path()), saved.data));
    const std::vector<int32_t> everyone = {0, 1, 2, 3};
    CHECK(again.for_users(everyone, {}).item == before.for_users(everyone, {}).item);
    CHECK(again.for_users(everyone, {}).score == before.for_users(everyone, {}).score);
    // And saved once more.
    save_run(saved.folder / "twice", again.run());
    CHECK(get(saved.folder / "twice/best.safetensors") == get(saved.trained.best_file()));
  }
}

TEST_CASE("saved run: the program opens it") {
  const Saved saved;
  const std::string lists = saved.folder / "lists";
  CHECK(program({"rec_engine", "recommend", saved.place.c_str(), "--users", "bob", "--format",
                 "tsv", "--out", lists.c_str(), "--device", "cpu"}) == 0);
  CHECK_THAT(get(lists), Catch::StartsWith("user\trank\titem\tscore\ttitle\nbob\t1\t"));
}

TEST_CASE("saved run: whole or not at all, and never over another folder") {
  const Saved saved;
  const LoadedRun run = load_run(request_of(saved.trained.path()), saved.data);
  CHECK_THAT(refusal([&] { save_run(saved.place, run); }), Catch::Contains("not empty"));
  LoadedRun broken = load_run(request_of(saved.trained.path()), saved.data);
  broken.data.config_path = saved.folder / "no such file";
  CHECK_FALSE(refusal([&] { save_run(saved.folder / "broken", broken); }).empty());
  CHECK(saved.folder.names() == std::vector<std::string>{"saved", "trained"});
}

TEST_CASE("saved run: not with other data than it was trained on") {
  const Saved saved;
  SmallArrays other;
  other.test.col[0] = 5;
  const LoadedRun run = load_run(request_of(saved.trained.path()), dataset_of(other.arrays()));
  CHECK(run.trained_on == TrainedOn::other_data);
  CHECK_THAT(refusal([&] { save_run(saved.folder / "other", run); }),
             Catch::Contains("other data"));
}

TEST_CASE("saved run: a run of data in memory names none to the program") {
  const Saved saved;
  CHECK_THAT(refusal([&] { load_run(request_of(saved.trained.path())); }),
             Catch::Contains("names no dataset"));
}

TEST_CASE("saved run: a folder of .npy weights is saved as a checkpoint") {
  const Saved saved;
  const std::string weights = saved.folder / "weights";
  put(weights + "/w1.npy", npy_bytes({"<f4", "(3, 2)"}, raw<float>({1, 2, 3, 4, 5, 6})));
  LoadRequest request = request_of(weights);
  LoadedRun run = load_run(request, saved.data);
  CHECK(run.trained_on == TrainedOn::unknown);
  save_run(saved.folder / "of_weights", run);
  Recommender again(load_run(request_of(saved.folder / "of_weights")));
  Recommender before(std::move(run));
  CHECK(again.run().config.model == "linear");
  CHECK(again.for_users({0, 1}, {}).score == before.for_users({0, 1}, {}).score);
}

}  // namespace rec::test
