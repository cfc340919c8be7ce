// The recommender: its lists are those of plain loops over its vectors, of the engine's own rankers,
// and of the program's commands.
#include <catch2/catch.hpp>
#include <cmath>
#include <sstream>

#include "host/commands/program.h"
#include "host/formats/npy.h"
#include "host/library/recommender.h"
#include "tests/host/files.h"
#include "tests/host/quick_training.h"

namespace rec::test {
namespace {

constexpr float kScoreBound =
    8 * 3 * 6e-8f;  // float sums of 3 products of unit vectors' components

// A trained run and what serves it. File formats are those of the program.
struct Served {
  TemporaryFolder folder;
  std::string run = folder / "run";
  Served() {
    put_small_dataset(folder, "data");
    train(load_dataset(folder / "data"), quick(), RunFolder(run), quietly());
  }
  LoadRequest request() const {
    LoadRequest request;
    request.run = run;
    request.device = "cpu";
    request.threads = 1;
    return request;
  }
  // What a command writes into --out, in lines.
  std::vector<std::string> program(std::vector<std::string> words) const {
    const std::string out = folder / "lists.tsv";
    words.insert(words.begin(), "rec_engine");
    for (const char* word : {"--device", "cpu", "--threads", "1", "--format", "tsv", "--out"})
      words.push_back(word);
    words.push_back(out);
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    CHECK(run_program(int(arguments.size()), arguments.data()) == 0);
    std::vector<std::string> lines;
    std::istringstream text(get(out));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
};

// The lines that the program writes of these lists.
std::vector<std::string> lines_of(const Dataset& data, const std::vector<std::string>& names,
                                  const TopLists& lists) {
  std::vector<std::string> lines = {"user\trank\titem\tscore\ttitle"};
  for (int64_t row = 0; row < lists.rows; ++row)
    for (int64_t c = 0; c < lists.k && lists.items_of(row)[c] >= 0; ++c) {
      const int32_t item = lists.items_of(row)[c];
      char line[100];
      std::snprintf(line, sizeof(line), "%s\t%d\t%s\t%.6f\t%s", names[size_t(row)].c_str(),
                    int(c) + 1, data.item_name(item).c_str(),
                    double(lists.score[size_t(row * lists.k + c)]), data.item_title(item).c_str());
      lines.push_back(line);
    }
  return lines;
}

// Every list by a loop over the items that keep(row, item) lets through.
template <class Keep>
void check_lists(const TopLists& lists, const std::vector<float>& of,
                 const std::vector<float>& item, const std::vector<int32_t>& rows, size_t dim,
                 int64_t items, Keep keep) {
  REQUIRE(lists.rows == int64_t(rows.size()));
  const auto score = [&](int32_t row, int32_t i) {
    double sum = 0;
    for (size_t c = 0; c < dim; ++c)
      sum += double(of[size_t(row) * dim + c]) * double(item[size_t(i) * dim + c]);
    return float(sum);
  };
  for (int64_t l = 0; l < lists.rows; ++l) {
    std::vector<int32_t> wanted;
    for (int32_t i = 0; i < items; ++i)
      if (keep(rows[size_t(l)], i)) wanted.push_back(i);
    std::stable_sort(wanted.begin(), wanted.end(), [&](int32_t a, int32_t b) {
      return score(rows[size_t(l)], a) > score(rows[size_t(l)], b);
    });
    wanted.resize(size_t(lists.k), -1);
    for (int64_t c = 0; c < lists.k; ++c) {
      CAPTURE(l, c);
      CHECK(lists.items_of(l)[c] == wanted[size_t(c)]);
      if (wanted[size_t(c)] >= 0)
        CHECK(std::abs(lists.score[size_t(l * lists.k + c)] -
                       score(rows[size_t(l)], wanted[size_t(c)])) <= kScoreBound);
    }
  }
}

bool has(const HostCsr& split, int32_t user, int32_t item) {
  const CsrView view = split.view();
  return std::binary_search(view.row(user), view.row(user) + view.degree(user), item);
}

}  // namespace

TEST_CASE("recommender: lists for users, with and without what they have") {
  const Served served;
  Recommender recommender(load_run(served.request()));
  const Dataset& data = recommender.data();
  const size_t dim = size_t(recommender.dim());
  const std::vector<float> user = recommender.user_vectors(), item = recommender.item_vectors();
  REQUIRE(user.size() == 4 * dim);
  REQUIRE(item.size() == 6 * dim);
  const std::vector<int32_t> users = {3, 0, 0, 2};
  ListRequest request;
  SECTION("nothing of any split") {
    check_lists(recommender.for_users(users, request), user, item, users, dim, 6,
                [&](int32_t u, int32_t i) {
                  return !has(data.train, u, i) && !has(data.valid, u, i) && !has(data.test, u, i);
                });
  }
  SECTION("nothing of train; k") {
    request.leave_out = {Split::train};
    request.k = 2;
    const TopLists lists = recommender.for_users(users, request);
    CHECK(lists.k == 2);
    check_lists(lists, user, item, users, dim, 6,
                [&](int32_t u, int32_t i) { return !has(data.train, u, i); });
  }
  SECTION("everything that is allowed") {
    request.leave_out.clear();
    request.allowed = {1, 0, 1, 1, 0, 1};
    check_lists(recommender.for_users(users, request), user, item, users, dim, 6,
                [&](int32_t, int32_t i) { return request.allowed[size_t(i)] != 0; });
  }
  SECTION("the program's") {
    CHECK(served.program({"recommend", served.run, "--users", "3,0,2"}) ==
          lines_of(data, {"3", "0", "2"}, recommender.for_users({3, 0, 2}, request)));
  }
}

TEST_CASE("recommender: similar items leave out the item itself") {
  const Served served;
  Recommender recommender(load_run(served.request()));
  const std::vector<float> item = recommender.item_vectors();
  const std::vector<int32_t> items = {5, 0, 5};
  ListRequest request;
  check_lists(recommender.similar_items(items, request), item, item, items,
              size_t(recommender.dim()), 6, [](int32_t of, int32_t i) { return of != i; });
}

TEST_CASE("recommender: lists for histories") {
  const Served served;
  Recommender recommender(load_run(served.request()));
  const LoadedRun& run = recommender.run();
  ListRequest request;
  request.k = 4;
  const std::string file = served.folder / "histories";
  put(file, "c\ta\td\ne\n");
  for (const bool exact : {false, true}) {
    CAPTURE(exact);
    const NewUserGraph graph = exact ? NewUserGraph::rebuilt : NewUserGraph::frozen;
    // In any order, with a repeat.
    const TopLists lists = recommender.for_histories({{2, 0, 3, 0}, {4}}, graph, request);
    HostCsr own;
    own.cols = 6;
    add_row(own, {0, 2, 3});
    add_row(own, {4});
    NewUsers users(*run.model, run.data.language.view(), run.data.train.view());
    const DeviceCsr mask(*run.backend, own.view());
    const TopLists wanted =
        NewUserRanker(*run.model, users, own.view(), graph).rank({0, 1}, {mask.view()}, {}, 4);
    CHECK(lists.item == wanted.item);
    CHECK(lists.score == wanted.score);
    std::vector<std::string> words = {"recommend", served.run, "--histories", file, "--topk", "4"};
    if (exact) words.push_back("--exact");
    CHECK(served.program(words) == lines_of(run.data, {"history 1", "history 2"}, lists));
  }
  request.leave_out.clear();
  request.k = 6;
  CHECK(recommender.for_histories({{4}}, NewUserGraph::frozen, request).item[5] >= 0);
}

TEST_CASE("recommender: lists towards a query, the program's") {
  const Served served;
  Recommender recommender(load_run(served.request()));
  const Dataset& data = recommender.data();
  const std::vector<float> query = {0.5f, -2};
  put(served.folder / "query.npy", npy_bytes({"<f4", "(2,)"}, raw<float>(query)));
  for (const bool exact : {false, true}) {
    CAPTURE(exact);
    const Intention intention{{query.data(), 1, 2}, 0.75, exact};
    const TopLists lists = recommender.for_users_towards({1, 2}, intention, {});
    std::vector<std::string> words = {
        "recommend", served.run, "--users", "1,2", "--intent-vector", served.folder / "query.npy",
        "--alpha",   "0.75"};
    if (exact) words.push_back("--exact");
    CHECK(served.program(words) == lines_of(data, {"1", "2"}, lists));
  }
  // Other lists are made anew, and a query for each is that list's.
  ListRequest all;
  all.leave_out.clear();
  const std::vector<float> queries = {0.5f, -2, 1, 1};
  const TopLists both =
      recommender.for_users_towards({1, 2}, {{queries.data(), 2, 2}, 0.75, false}, all);
  const TopLists second =
      recommender.for_users_towards({2}, {{queries.data() + 2, 1, 2}, 0.75, false}, all);
  CHECK(std::equal(second.item.begin(), second.item.end(), both.item.begin() + both.k));
  all.allowed = {0, 0, 1, 0, 0, 0};
  CHECK(recommender.for_users_towards({2}, {{query.data(), 1, 2}, 0.75, false}, all).item[0] == 2);
  // Not at all is the list itself.
  CHECK(recommender.for_users_towards({2}, {{query.data(), 1, 2}, 0, false}, {}).item ==
        recommender.for_users({2}, {}).item);
}

TEST_CASE("recommender: metrics are those of the training") {
  const Served served;
  const RunFolder run(served.run);
  Recommender recommender(load_run(served.request()));
  const Evaluation evaluation =
      recommender.evaluate(recommender.data().valid.view(), {Split::train, Split::test}, {2, 1});
  CHECK(evaluation.users == 3);
  double best = 0;
  for (const MetricsLine& line : run.read_metrics()) best = std::max(best, line.valid[0].second);
  CHECK(evaluation.value(Metric::recall, 2) == best);
  // What is left out cannot be found.
  const CsrView train = recommender.data().train.view();
  CHECK(recommender.evaluate(train, {}, {6}).value(Metric::recall, 6) == 1);
  CHECK(recommender.evaluate(train, {Split::valid, Split::train}, {6}).value(Metric::recall, 6) ==
        0);
}

TEST_CASE("recommender: wrong requests are refused") {
  const Served served;
  Recommender recommender(load_run(served.request()));
  const std::vector<float> query = {1, 2, 3};
  const auto with = [](auto change) {
    ListRequest request;
    change(request);
    return request;
  };
  CHECK_THAT(refusal([&] { recommender.for_users({4}, {}); }), Catch::Contains("no user 4"));
  CHECK_THAT(refusal([&] { recommender.for_users({-1}, {}); }), Catch::Contains("no user -1"));
  CHECK_THAT(refusal([&] { recommender.similar_items({6}, {}); }), Catch::Contains("no item 6"));
  CHECK_THAT(refusal([&] { recommender.for_histories({{6}}, NewUserGraph::frozen, {}); }),
             Catch::Contains("no item 6"));
  CHECK_THAT(refusal([&] { recommender.for_histories({{}}, NewUserGraph::frozen, {}); }),
             Catch::Contains("history is empty"));
  CHECK_THAT(refusal([&] { recommender.for_users({0}, with([](ListRequest& r) { r.k = 0; })); }),
             Catch::Contains("k is 1 or more"));
  CHECK_THAT(
      refusal([&] { recommender.for_users({0}, with([](ListRequest& r) { r.allowed = {1}; })); }),
      Catch::Contains("1 flags"));
  const auto towards = [&](const Intention& intention) {
    return refusal([&] { recommender.for_users_towards({0, 1, 2}, intention, {}); });
  };
  CHECK_THAT(towards({{query.data(), 1, 3}, 0.5, false}), Catch::Contains("3 wide"));
  CHECK_THAT(towards({{query.data(), 1, 2}, 1.5, false}), Catch::Contains("1.5"));
  CHECK_THAT(towards({{query.data(), 2, 1}, 0.5, false}), Catch::Contains("2 for 3"));
  const std::vector<float> bad = {1, std::nanf("")};
  CHECK_THAT(towards({{bad.data(), 1, 2}, 0.5, false}), Catch::Contains("not finite"));
  CHECK_THAT(refusal([&] { recommender.evaluate(HostCsr().view(), {}, {1}); }),
             Catch::Contains("0 by 0"));
  CHECK_THAT(refusal([&] { recommender.evaluate(recommender.data().test.view(), {}, {}); }),
             Catch::Contains("cut-offs"));
}

TEST_CASE("recommender: a model without language vectors has lists, and no histories") {
  const TemporaryFolder folder;
  put_small_dataset(folder, "data");
  Config config = quick();
  config.model = "mf";
  config.negatives = 1;
  config.hidden = 0;
  train(load_dataset(folder / "data"), config, RunFolder(folder / "run"), quietly());
  LoadRequest request;
  request.run = folder / "run";
  request.device = "cpu";
  Recommender recommender(load_run(request));
  CHECK(recommender.for_users({0}, {}).item[0] >= 0);
  CHECK_THAT(refusal([&] { recommender.for_histories({{1}}, NewUserGraph::frozen, {}); }),
             Catch::Contains("a history") && Catch::Contains("reads no language vectors"));
}

}  // namespace rec::test
