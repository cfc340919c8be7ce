// rec.h: every function gives the engine's own numbers, and refuses with a status and a sentence.
#include <catch2/catch.hpp>
#include <limits>
#include <thread>

#include "engine/backend_cpu.h"
#include "engine/operations.h"
#include "engine/ranker.h"
#include "host/library/batch_sampler.h"
#include "host/library/memory_dataset.h"
#include "host/library/recommender.h"
#include "host/library/scored_vectors.h"
#include "host/train/trainer.h"
#include "host/version.h"
#include "tests/c_api/caller_arrays.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

constexpr int64_t kUsers = CallerArrays::kUsers, kItems = CallerArrays::kItems,
                  kWidth = CallerArrays::kWidth;
constexpr float kNone = -std::numeric_limits<float>::infinity();

std::string sentence(rec_status status, rec_status wanted) {
  CHECK(status == wanted);
  return rec_last_error();
}

#define CHECK_REFUSED(call, status, word) CHECK_THAT(sentence(call, status), Catch::Contains(word))

std::string name_of(const rec_dataset* data, rec_name which, int64_t number) {
  int64_t length = -1;
  CHECK(rec_dataset_name(data, which, number, nullptr, 0, &length) == REC_OK);
  std::string text(size_t(length) + 1, '?');
  CHECK(rec_dataset_name(data, which, number, text.data(), length + 1, nullptr) == REC_OK);
  CHECK(text.back() == '\0');
  text.pop_back();
  return text;
}

// A dataset in memory, and a run trained on it.
struct Trained {
  Trained() {
    REQUIRE(rec_set_threads(1) == REC_OK);
    const rec_arrays arrays = small.c_arrays();
    REQUIRE(rec_dataset_from_arrays(&arrays, &data) == REC_OK);
    rec_train_options options{};
    options.settings = kQuick.data();
    options.settings_count = int64_t(kQuick.size());
    options.device = "cpu";
    REQUIRE(rec_train(data, (folder / "run").c_str(), &options) == REC_OK);
    REQUIRE(rec_model_load((folder / "run").c_str(), data, "cpu", &model) == REC_OK);
  }
  ~Trained() {
    CHECK(rec_model_free(model) == REC_OK);
    CHECK(rec_dataset_free(data) == REC_OK);
    CHECK(rec_set_threads(0) == REC_OK);
  }

  // The same run by the engine's own layer.
  Recommender recommender() const {
    LoadRequest request;
    request.run = folder / "run";
    request.device = "cpu";
    request.threads = 1;
    DatasetArrays arrays;
    arrays.train = small.train.view();
    arrays.valid = small.valid.view();
    arrays.test = small.test.view();
    arrays.language = {small.item.data(), [](const float*) {}};  // small stays
    arrays.language_items = kItems;
    arrays.language_width = kWidth;
    return Recommender(load_run(request, dataset_of(std::move(arrays))));
  }

  CallerArrays small;
  TemporaryFolder folder;
  rec_dataset* data = nullptr;
  rec_model* model = nullptr;
};

}  // namespace

TEST_CASE("c api: version, threads and the last error of each thread") {
  CHECK(std::string(rec_version()) == kVersion);
  int32_t threads = 0;
  REQUIRE(rec_set_threads(3) == REC_OK);
  REQUIRE(rec_threads(&threads) == REC_OK);
  CHECK(threads == 3);
  REQUIRE(rec_set_threads(0) == REC_OK);
  REQUIRE(rec_threads(&threads) == REC_OK);
  CHECK(threads >= 1);
  CHECK_REFUSED(rec_set_threads(-1), REC_INVALID_ARGUMENT, "threads: expected 0");
  std::string elsewhere = "?";
  std::thread([&] { elsewhere = rec_last_error(); }).join();
  CHECK(elsewhere.empty());
  CHECK_THAT(rec_last_error(), Catch::Contains("threads: expected 0"));
}

TEST_CASE("c api: topk gives the engine's lists, filled up") {
  const CallerArrays small;
  const auto backend = make_cpu_backend(1);
  const rec_csr seen = c_csr(small.train);
  const std::vector<int32_t> users = {7, 0, 3};
  constexpr int64_t kLong = kItems + 2;
  for (const rec_score score : {REC_DOT, REC_COSINE}) {
    const ScoredVectors by(*backend, {small.user.data(), kUsers, kWidth},
                           {small.item.data(), kItems, kWidth},
                           score == REC_COSINE ? Score::cosine : Score::dot);
    const TopLists want =
        rank_rows(*backend, by.user(), by.item(), users, users, {small.train.view()}, {}, kLong);
    std::vector<int32_t> item(3 * kLong, -7);
    std::vector<float> value(3 * kLong, -7);
    const rec_vectors vectors = small.c_vectors(score);
    REQUIRE(rec_topk(&vectors, users.data(), 3, kLong, &seen, 1, nullptr, item.data(),
                     value.data()) == REC_OK);
    CHECK(item == want.item);
    CHECK(value == want.score);
    CHECK(item.back() == -1);
    CHECK(value.back() == kNone);
  }
  // Everyone, with two items allowed.
  const rec_vectors vectors = small.c_vectors(REC_DOT);
  std::vector<uint8_t> allowed(kItems, 0);
  allowed[2] = allowed[9] = 1;
  std::vector<int32_t> item(kUsers * 3);
  REQUIRE(rec_topk(&vectors, nullptr, 0, 3, nullptr, 0, allowed.data(), item.data(), nullptr) ==
          REC_OK);
  for (int64_t u = 0; u < kUsers; ++u) {
    CHECK(item[size_t(u * 3)] + item[size_t(u * 3 + 1)] == 2 + 9);
    CHECK(item[size_t(u * 3 + 2)] == -1);
  }
}

TEST_CASE("c api: evaluate gives the engine's metrics") {
  const CallerArrays small;
  const auto backend = make_cpu_backend(1);
  VectorRanker ranker(*backend, {small.user.data(), kUsers, kWidth},
                      {small.item.data(), kItems, kWidth});
  const Evaluation want = evaluate(ranker, small.test.view(), {small.train.view()}, {1, 5});
  const rec_vectors vectors = small.c_vectors(REC_DOT);
  const rec_csr test = c_csr(small.test), train = c_csr(small.train);
  const int64_t cutoffs[] = {1, 5};
  double mean[2][REC_METRICS], each[kUsers][2][REC_METRICS];
  int64_t users = 0;
  REQUIRE(rec_evaluate(&vectors, &test, &train, 1, cutoffs, 2, &mean[0][0], &each[0][0][0],
                       &users) == REC_OK);
  CHECK(users == want.users);
  CHECK(mean[1][REC_RECALL] == want.value(Metric::recall, 5));
  CHECK(mean[1][REC_NDCG] == want.value(Metric::ndcg, 5));
  CHECK(mean[0][REC_MRR] == want.value(Metric::mrr, 1));
  for (size_t u = 0; u < size_t(kUsers); ++u)
    CHECK(each[u][1][REC_MAP] == want.per_user[u].at[1][size_t(Metric::map)]);
}

TEST_CASE("c api: a graph propagates and takes means as the engine does") {
  const CallerArrays small;
  const auto backend = make_cpu_backend(1);
  const Graph graph(*backend, small.train.view());
  rec_csr train = c_csr(small.train);
  rec_graph* of = nullptr;
  REQUIRE(rec_graph_create(&train, &of) == REC_OK);

  std::vector<float> want(small.vectors.size()), got(want.size());
  propagate(*backend, graph, 2, {small.vectors.data(), kUsers + kItems, kWidth},
            {want.data(), kUsers + kItems, kWidth});
  const rec_matrix x = c_matrix(small.vectors, kWidth);
  REQUIRE(rec_graph_propagate(of, 2, &x, got.data()) == REC_OK);
  CHECK(got == want);

  std::vector<float> mean(kUsers * kWidth), got_mean(mean.size());
  mean_of_items(*backend, graph, {small.item.data(), kItems, kWidth},
                {mean.data(), kUsers, kWidth});
  const rec_matrix item = c_matrix(small.item, kWidth);
  REQUIRE(rec_graph_mean_rows(of, &item, got_mean.data()) == REC_OK);
  CHECK(got_mean == mean);

  std::vector<float> back(kItems * kWidth), got_back(back.size());
  mean_of_items_adjoint(*backend, graph, {small.user.data(), kUsers, kWidth},
                        {back.data(), kItems, kWidth});
  const rec_matrix grad = c_matrix(small.user, kWidth);
  REQUIRE(rec_graph_mean_rows_adjoint(of, &grad, got_back.data()) == REC_OK);
  CHECK(got_back == back);

  // Rows that lie apart.
  const rec_matrix narrow{small.vectors.data(), kUsers + kItems, kWidth - 2, kWidth};
  std::vector<float> some(size_t(kUsers + kItems) * (kWidth - 2));
  REQUIRE(rec_graph_propagate(of, 2, &narrow, some.data()) == REC_OK);
  CHECK(some[0] == want[0]);
  CHECK(some[kWidth - 2] == want[kWidth]);

  CHECK_REFUSED(rec_graph_propagate(of, -1, &x, got.data()), REC_INVALID_ARGUMENT, "layers");
  CHECK_REFUSED(rec_graph_propagate(of, 1, &item, got.data()), REC_INVALID_ARGUMENT, "20 rows");
  CHECK(rec_graph_free(of) == REC_OK);
}

TEST_CASE("c api: a sampler draws what the engine draws") {
  const CallerArrays small;
  BatchSampler want(small.train.view(), {4, 3, "interaction", "popularity", 0.75, 11});
  rec_sampling sampling{};
  sampling.batch = 4;
  sampling.negatives = 3;
  sampling.seed = 11;
  sampling.rule = "interaction";
  sampling.distribution = "popularity";
  const rec_csr train = c_csr(small.train);
  rec_sampler* sampler = nullptr;
  REQUIRE(rec_sampler_create(&train, &sampling, &sampler) == REC_OK);
  int64_t steps = 0;
  REQUIRE(rec_sampler_steps(sampler, &steps) == REC_OK);
  CHECK(steps == want.steps_per_epoch());
  std::vector<int32_t> user(4), positive(4), negative(12), got_user(4), got_positive(4),
      got_negative(12);
  want.draw({}, 2, 1, {user.data(), 4}, {positive.data(), 4}, {negative.data(), 4, 3});
  REQUIRE(rec_sampler_draw(sampler, 2, 1, got_user.data(), got_positive.data(),
                           got_negative.data()) == REC_OK);
  CHECK(got_user == user);
  CHECK(got_positive == positive);
  CHECK(got_negative == negative);

  CHECK_REFUSED(
      rec_sampler_draw(sampler, int64_t{1} << 32, 0, user.data(), positive.data(), negative.data()),
      REC_INVALID_ARGUMENT, "epoch: expected a number below 4294967296");
  CHECK(rec_sampler_free(sampler) == REC_OK);
  sampling.rule = "items";
  CHECK_REFUSED(rec_sampler_create(&train, &sampling, &sampler), REC_INVALID_ARGUMENT,
                "rule: expected one of");
  CHECK(sampler == nullptr);
}

TEST_CASE("c api: the loss of a batch and its gradients are the engine's") {
  const CallerArrays small;
  const auto backend = make_cpu_backend(1);
  const std::vector<int32_t> user = {0, 7, 7}, positive = {1, 8, 9}, negative = {4, 5, 0, 1, 0, 11};
  BatchLossSettings settings;
  settings.tau = 0.3f;
  std::vector<float> grad_user(small.user.size()), grad_item(small.item.size());
  double loss = 0;
  batch_loss(*backend, settings, {small.user.data(), kUsers, kWidth},
             {small.item.data(), kItems, kWidth},
             {{user.data(), 3}, {positive.data(), 3}, {negative.data(), 3, 2}},
             {grad_user.data(), kUsers, kWidth}, {grad_item.data(), kItems, kWidth}, &loss);

  rec_batch batch{3, 2, user.data(), positive.data(), negative.data(), REC_INFONCE, 0.3f};
  const rec_vectors vectors = small.c_vectors(REC_COSINE);
  std::vector<float> got_user(grad_user.size()), got_item(grad_item.size());
  double got_loss = 0;
  REQUIRE(rec_batch_loss(&vectors, &batch, &got_loss, got_user.data(), got_item.data()) == REC_OK);
  CHECK(got_loss == loss);
  CHECK(got_user == grad_user);
  CHECK(got_item == grad_item);

  batch.objective = REC_BPR;
  CHECK_REFUSED(rec_batch_loss(&vectors, &batch, &got_loss, got_user.data(), got_item.data()),
                REC_INVALID_ARGUMENT, "negatives: expected one a row, given 2");
  batch.objective = REC_INFONCE;
  batch.tau = 0;
  CHECK_REFUSED(rec_batch_loss(&vectors, &batch, &got_loss, got_user.data(), got_item.data()),
                REC_INVALID_ARGUMENT, "tau: expected a number above 0");
}

TEST_CASE("c api: a dataset of a folder, its names and their numbers") {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  rec_dataset* data = nullptr;
  REQUIRE(rec_dataset_load(folder.path().c_str(), nullptr, &data) == REC_OK);
  const Dataset want = load_dataset(folder.path());
  int64_t users = 0, items = 0, width = 0;
  REQUIRE(rec_dataset_size(data, &users, &items, &width) == REC_OK);
  CHECK(users == want.users);
  CHECK(items == want.items);
  CHECK(width == want.language.width());
  rec_csr train{};
  REQUIRE(rec_dataset_split(data, REC_TRAIN, &train) == REC_OK);
  CHECK(std::vector<int32_t>(train.item, train.item + train.entries) == want.train.col);
  rec_matrix language{};
  REQUIRE(rec_dataset_language(data, &language) == REC_OK);
  CHECK(language.data[language.stride] == want.language.view()(1, 0));
  for (int32_t i = 0; i < items; ++i) {
    CHECK(name_of(data, REC_ITEM_TITLE, i) == want.item_title(i));
    int32_t number = -1;
    REQUIRE(rec_dataset_find(data, REC_ITEM_ID, name_of(data, REC_ITEM_ID, i).c_str(), &number) ==
            REC_OK);
    CHECK(number == i);
  }
  char cut[3] = "??";
  int64_t length = 0;
  const std::string title = want.item_title(0);
  REQUIRE(rec_dataset_name(data, REC_ITEM_TITLE, 0, cut, sizeof cut, &length) == REC_OK);
  CHECK(std::string(cut) == title.substr(0, 2));
  CHECK(length == int64_t(title.size()));

  int32_t number = 0;
  CHECK_REFUSED(rec_dataset_find(data, REC_USER_ID, "nobody", &number), REC_NOT_FOUND,
                "there is no user 'nobody'");
  CHECK_REFUSED(rec_dataset_name(data, REC_USER_ID, users, cut, 3, nullptr), REC_INVALID_ARGUMENT,
                "number: expected users from 0");
  CHECK_REFUSED(rec_dataset_split(data, REC_TRAIN | REC_TEST, &train), REC_INVALID_ARGUMENT,
                "split");
  CHECK(rec_dataset_free(data) == REC_OK);
  CHECK_REFUSED(rec_dataset_load((folder / "elsewhere").c_str(), nullptr, &data), REC_FILE,
                "elsewhere");
}

TEST_CASE("c api: names that are given with arrays") {
  const CallerArrays small;
  const std::vector<const char*> ids = {"a", "b", "c", "d", "e", "f", "g", "h"};
  rec_arrays arrays = small.c_arrays();
  arrays.name = "letters";
  arrays.user_id = ids.data();
  arrays.user_id_count = kUsers;
  rec_dataset* data = nullptr;
  REQUIRE(rec_dataset_from_arrays(&arrays, &data) == REC_OK);
  CHECK(name_of(data, REC_USER_ID, 2) == "c");
  CHECK(name_of(data, REC_ITEM_ID, 2) == "2");
  int32_t number = -1;
  REQUIRE(rec_dataset_find(data, REC_USER_ID, "h", &number) == REC_OK);
  CHECK(number == 7);
  REQUIRE(rec_dataset_find(data, REC_ITEM_ID, "11", &number) == REC_OK);
  CHECK(number == 11);
  CHECK(rec_dataset_free(data) == REC_OK);
  arrays.user_id_count = 3;
  CHECK_REFUSED(rec_dataset_from_arrays(&arrays, &data), REC_FILE, "user ids");
}

TEST_CASE("c api: hooks of a training") {
  const CallerArrays small;
  const TemporaryFolder folder;
  const rec_arrays arrays = small.c_arrays();
  rec_dataset* data = nullptr;
  REQUIRE(rec_dataset_from_arrays(&arrays, &data) == REC_OK);

  struct Seen {
    std::vector<int64_t> epochs;
    std::string metric;
    int steps = 0, stop_at = -1, end_at = -1;
  } seen;
  rec_train_options options{};
  options.settings = kQuick.data();
  options.settings_count = int64_t(kQuick.size());
  options.device = "cpu";
  options.user_data = &seen;
  options.on_epoch = [](const rec_epoch* epoch, void* user_data) {
    Seen& to = *static_cast<Seen*>(user_data);
    to.epochs.push_back(epoch->epoch);
    to.metric = epoch->metric_count > 0 ? epoch->metric_name[0] : "";
    return int(int(to.epochs.size()) == to.end_at);
  };
  options.on_step = [](void* user_data) {
    Seen& to = *static_cast<Seen*>(user_data);
    return int(++to.steps == to.stop_at);
  };

  seen.stop_at = 3;
  const std::string run = folder / "run";
  CHECK_REFUSED(rec_train(data, run.c_str(), &options), REC_INTERRUPTED, "resume goes on");
  CHECK(seen.epochs.empty());
  CHECK_REFUSED(rec_train(data, run.c_str(), &options), REC_FILE,
                "holds a run already; set resume to go on, or overwrite");
  seen = {};
  options.resume = 1;
  REQUIRE(rec_train(data, run.c_str(), &options) == REC_OK);
  CHECK(seen.epochs == std::vector<int64_t>{1, 2});
  CHECK(seen.metric == "recall@2");
  CHECK(seen.steps == 2 * 24 / 4 - 3);

  seen = {};
  seen.end_at = 1;
  options.resume = 0;
  options.overwrite = 1;
  REQUIRE(rec_train(data, run.c_str(), &options) == REC_OK);
  CHECK(seen.epochs == std::vector<int64_t>{1});

  options.device = "cuda:99";
  const rec_status status = rec_train(data, run.c_str(), &options);
  CHECK((status == REC_UNAVAILABLE || status == REC_FAILED));
  options.device = "toaster";
  CHECK_REFUSED(rec_train(data, run.c_str(), &options), REC_INVALID_ARGUMENT, "not a device");
  const char* wrong[] = {"speed=3"};
  CHECK_REFUSED(rec_settings(data, wrong, 1, nullptr, 0, nullptr), REC_INVALID_ARGUMENT, "speed");
  int64_t length = 0;
  REQUIRE(rec_settings(data, kQuick.data(), 2, nullptr, 0, &length) == REC_OK);
  std::string text(size_t(length) + 1, '?');
  REQUIRE(rec_settings(data, kQuick.data(), 2, text.data(), length + 1, nullptr) == REC_OK);
  CHECK_THAT(text, Catch::Contains("width = 3") && Catch::Contains("hidden = 4"));
  CHECK(rec_dataset_free(data) == REC_OK);
}

TEST_CASE("c api: a model's lists, vectors and metrics are the recommender's") {
  const Trained t;
  Recommender want = t.recommender();
  int64_t users = 0, items = 0, dim = 0;
  REQUIRE(rec_model_size(t.model, &users, &items, &dim) == REC_OK);
  CHECK(users == kUsers);
  CHECK(items == kItems);
  CHECK(dim == 3);

  std::vector<float> user(kUsers * 3), item(kItems * 3);
  REQUIRE(rec_model_vectors(t.model, user.data(), item.data()) == REC_OK);
  CHECK(user == want.user_vectors());
  CHECK(item == want.item_vectors());

  constexpr int64_t kK = 4;
  rec_list_options options{};
  options.k = kK;
  options.leave_out = REC_TRAIN;
  const std::vector<int32_t> some = {5, 1};
  std::vector<int32_t> ids(2 * kK);
  std::vector<float> scores(2 * kK);
  ListRequest request;
  request.k = kK;
  request.leave_out = {Split::train};
  const auto check = [&](rec_status status, const TopLists& lists) {
    CHECK(status == REC_OK);
    CHECK(ids == lists.item);
    CHECK(scores == lists.score);
  };
  check(rec_model_recommend(t.model, some.data(), 2, &options, ids.data(), scores.data()),
        want.for_users(some, request));
  check(rec_model_similar(t.model, some.data(), 2, &options, ids.data(), scores.data()),
        want.similar_items(some, request));
  const rec_matrix query{t.small.item.data(), 1, kWidth, 0};
  check(rec_model_recommend_towards(t.model, some.data(), 2, &query, 0.5, 0, &options, ids.data(),
                                    scores.data()),
        want.for_users_towards(some, {{t.small.item.data(), 1, kWidth}, 0.5, false}, request));
  HostCsr histories;
  histories.cols = kItems;
  add_row(histories, {7, 2, 7});
  add_row(histories, {0});
  const rec_csr people = c_csr(histories);
  for (const bool exact : {false, true})
    check(
        rec_model_recommend_histories(t.model, &people, exact, &options, ids.data(), scores.data()),
        want.for_histories({{7, 2, 7}, {0}}, exact ? NewUserGraph::rebuilt : NewUserGraph::frozen,
                           request));

  // The defaults are the ten best of what she has in no split.
  std::vector<int32_t> ten(10);
  REQUIRE(rec_model_recommend(t.model, some.data(), 1, nullptr, ten.data(), nullptr) == REC_OK);
  CHECK(ten == want.for_users({5}, {}).item);

  const rec_csr test = c_csr(t.small.test);
  const int64_t cutoff = 3;
  double mean[REC_METRICS];
  REQUIRE(rec_model_evaluate(t.model, &test, REC_TRAIN | REC_VALID, &cutoff, 1, mean, nullptr,
                             nullptr) == REC_OK);
  CHECK(
      mean[REC_NDCG] ==
      want.evaluate(t.small.test.view(), {Split::train, Split::valid}, {3}).value(Metric::ndcg, 3));
}

TEST_CASE("c api: a model refuses what is not there, and is saved with its dataset") {
  const Trained t;
  const int32_t nobody = kUsers;
  int32_t ids[10];
  CHECK_REFUSED(rec_model_recommend(t.model, &nobody, 1, nullptr, ids, nullptr),
                REC_INVALID_ARGUMENT, "there is no user 8");
  rec_list_options options{};
  options.k = -1;
  CHECK_REFUSED(rec_model_recommend(t.model, ids, 0, &options, ids, nullptr), REC_INVALID_ARGUMENT,
                "k: expected");
  options.k = 1;
  options.leave_out = 8;
  CHECK_REFUSED(rec_model_recommend(t.model, ids, 0, &options, ids, nullptr), REC_INVALID_ARGUMENT,
                "split: expected");
  rec_model* other = nullptr;
  CHECK_REFUSED(rec_model_load((t.folder / "elsewhere").c_str(), t.data, "cpu", &other), REC_FILE,
                "there is no such run");
  CHECK_REFUSED(rec_model_load((t.folder / "run").c_str(), nullptr, "cpu", &other), REC_FILE,
                "names no dataset");

  REQUIRE(rec_model_save(t.model, (t.folder / "saved").c_str()) == REC_OK);
  CHECK_REFUSED(rec_model_save(t.model, (t.folder / "saved").c_str()), REC_FILE, "saved");
  REQUIRE(rec_model_load((t.folder / "saved").c_str(), nullptr, "cpu", &other) == REC_OK);
  rec_dataset* data = nullptr;
  REQUIRE(rec_model_dataset(other, &data) == REC_OK);
  CHECK(rec_model_free(other) == REC_OK);
  rec_csr train{};
  REQUIRE(rec_dataset_split(data, REC_TRAIN, &train) == REC_OK);
  CHECK(std::vector<int32_t>(train.item, train.item + train.entries) == t.small.train.col);
  CHECK(rec_dataset_free(data) == REC_OK);

  int64_t length = 0;
  REQUIRE(rec_model_settings(t.model, nullptr, 0, &length) == REC_OK);
  CHECK(length > 0);
  REQUIRE(rec_model_notices(t.model, nullptr, 0, &length) == REC_OK);
  CHECK(length == 0);
}

TEST_CASE("c api: handles that are freed, of another kind, or none") {
  const CallerArrays small;
  const rec_csr train = c_csr(small.train);
  rec_graph *graph = nullptr, *second = nullptr;
  REQUIRE(rec_graph_create(&train, &graph) == REC_OK);
  std::vector<float> out(small.vectors.size());
  const rec_matrix x = c_matrix(small.vectors, kWidth);
  int64_t steps = 0;
  CHECK_REFUSED(rec_sampler_steps(reinterpret_cast<rec_sampler*>(graph), &steps),
                REC_INVALID_ARGUMENT, "sampler: expected a handle, given that of a graph");
  CHECK_REFUSED(rec_sampler_free(reinterpret_cast<rec_sampler*>(graph)), REC_INVALID_ARGUMENT,
                "that of a graph");
  CHECK(rec_graph_free(graph) == REC_OK);
  CHECK(rec_graph_free(nullptr) == REC_OK);
  REQUIRE(rec_graph_create(&train, &second) == REC_OK);
  CHECK(second != graph);
  CHECK_REFUSED(rec_graph_propagate(graph, 1, &x, out.data()), REC_INVALID_ARGUMENT,
                "graph: expected a handle, given one that was freed");
  CHECK_REFUSED(rec_graph_free(graph), REC_INVALID_ARGUMENT, "freed");
  CHECK_REFUSED(rec_graph_propagate(nullptr, 1, &x, out.data()), REC_INVALID_ARGUMENT,
                "given NULL");
  CHECK_REFUSED(rec_graph_propagate(reinterpret_cast<const rec_graph*>(&x), 1, &x, out.data()),
                REC_INVALID_ARGUMENT, "never was");
  CHECK(rec_graph_free(second) == REC_OK);
}

TEST_CASE("c api: a handle that is freed while other threads use it", "[threads]") {
  const CallerArrays small;
  const rec_csr train = c_csr(small.train);
  const rec_matrix x = c_matrix(small.vectors, kWidth);
  REQUIRE(rec_set_threads(1) == REC_OK);
  rec_graph* graph = nullptr;
  REQUIRE(rec_graph_create(&train, &graph) == REC_OK);
  std::vector<std::thread> users;
  for (int n = 0; n < 3; ++n)
    users.emplace_back([&, graph] {
      std::vector<float> out(small.vectors.size());
      while (rec_graph_propagate(graph, 2, &x, out.data()) == REC_OK) {
      }
    });
  CHECK(rec_graph_free(graph) == REC_OK);
  for (std::thread& user : users) user.join();
  REQUIRE(rec_set_threads(0) == REC_OK);
}

}  // namespace rec::test
