// Random calls of rec.h in random order: with handles that live, were freed, are of another kind or none at all, with null
// pointers, and with sizes and values that do not fit. Nothing may crash, which the preset emulate watches; a handle that
// is none must be refused; and every failure must have a sentence of its own.
//
// Arrays have the sizes that their sizes say, on the heap, so that one value beyond is noticed. What C cannot check, a
// size that is a lie, is not tried.
#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "host/c_api/rec.h"
#include "tests/c_api/caller_arrays.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr int kMostTrainings = 12;

// Interactions, most of them sound.
struct DrawnCsr {
  HostCsr csr;
  rec_csr view{};
};

// How a function did.
struct Outcomes {
  int done = 0, refused = 0;
};

class Fuzz {
 public:
  explicit Fuzz(uint64_t seed) : draws_(seed) { REQUIRE(rec_set_threads(1) == REC_OK); }
  ~Fuzz() {
    for (const Slot& slot : slots_)
      if (slot.alive) free_of(slot.kind, slot.handle);
  }

  void step() {
    static constexpr void (Fuzz::*kActions[])() = {
        &Fuzz::topk,         &Fuzz::evaluate, &Fuzz::make_graph, &Fuzz::use_graph,
        &Fuzz::make_sampler, &Fuzz::draw,     &Fuzz::loss,       &Fuzz::make_dataset,
        &Fuzz::use_dataset,  &Fuzz::train,    &Fuzz::make_model, &Fuzz::recommend,
        &Fuzz::use_model,    &Fuzz::free_one, &Fuzz::threads};
    (this->*kActions[below(std::size(kActions))])();
  }

  const std::map<std::string, Outcomes>& outcomes() const { return outcomes_; }

 private:
  enum class Kind { dataset, model, graph, sampler };
  struct Slot {
    void* handle;
    Kind kind;
    bool alive;
  };
  template <class Handle>
  struct Picked {
    Handle* handle;
    bool alive;
  };

  // ---- draws ----

  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(draws_); }
  bool once_in(size_t count) { return below(count) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> all) {
    return all.begin()[below(all.size())];
  }
  int64_t id(int64_t count) {
    if (once_in(40)) return one_of<int64_t>({-1, count, std::numeric_limits<int32_t>::max()});
    return count > 0 ? int64_t(below(size_t(count))) : 0;
  }
  float value() {
    if (once_in(400)) return one_of<float>({INFINITY, NAN, 3e38f});
    return std::normal_distribution<float>()(draws_);
  }

  // ---- arguments ----

  template <class T>
  T* maybe_null(T* pointer) {
    return once_in(25) ? nullptr : pointer;
  }

  // A handle of this kind as a rule.
  template <class Handle>
  Picked<Handle> pick(Kind kind) {
    std::vector<const Slot*> fitting, all;
    for (const Slot& slot : slots_) {
      all.push_back(&slot);
      if (slot.alive && slot.kind == kind) fitting.push_back(&slot);
    }
    if (!fitting.empty() && !once_in(6))
      return {static_cast<Handle*>(fitting[below(fitting.size())]->handle), true};
    if (all.empty() || once_in(3))
      return {reinterpret_cast<Handle*>(
                  one_of<uintptr_t>({0, 2, 0xfffffffffffff, reinterpret_cast<uintptr_t>(this)})),
              false};
    const Slot& slot = *all[below(all.size())];
    return {static_cast<Handle*>(slot.handle), slot.alive && slot.kind == kind};
  }

  rec_matrix matrix(int64_t rows, int64_t cols) {
    if (once_in(30)) rows = one_of<int64_t>({0, rows + 1, -1, kHuge});
    if (once_in(30)) cols = one_of<int64_t>({0, cols + 1, -1, kHuge});
    const int64_t stride = once_in(4) ? one_of<int64_t>({cols - 1, 7, -3, kHuge}) : 0;
    const int64_t apart = stride == 0 ? cols : stride;
    const bool is_sound = rows > 0 && rows < 100 && cols > 0 && cols < 100 && apart < 100;
    std::vector<float>& values = floats_.emplace_back();
    values.resize(is_sound && apart >= cols ? size_t((rows - 1) * apart + cols) : 1);
    for (float& v : values) v = value();
    return {maybe_null(values.data()), rows, cols, stride};
  }

  DrawnCsr csr(int64_t users, int64_t items) {
    DrawnCsr drawn;
    if (once_in(30)) users = one_of<int64_t>({0, users + 1});
    if (once_in(30)) items = one_of<int64_t>({0, items + 1});
    HostCsr& csr = drawn.csr;
    csr.cols = items;
    for (int64_t u = 0; u < users; ++u) {
      std::set<int32_t> row;
      for (size_t n = below(4); n > 0 && items > 0; --n) row.insert(int32_t(below(size_t(items))));
      add_row(csr, {row.begin(), row.end()});
    }
    if (once_in(20) && !csr.col.empty()) csr.col[below(csr.col.size())] = int32_t(id(items));
    if (once_in(40))
      csr.row_start[below(csr.row_start.size())] = one_of<int64_t>({-1, 2, 99, kHuge});
    if (once_in(40)) std::reverse(csr.col.begin(), csr.col.end());
    drawn.view = c_csr(csr);
    if (once_in(40)) drawn.view.users = one_of<int64_t>({-1, kHuge});
    if (once_in(40)) drawn.view.items = one_of<int64_t>({-1, kHuge});
    if (once_in(40)) drawn.view.entries = one_of<int64_t>({-1, kHuge});
    drawn.view.row_start = maybe_null(drawn.view.row_start);
    drawn.view.item = maybe_null(drawn.view.item);
    return drawn;
  }

  std::vector<int32_t> ids(size_t count, int64_t of) {
    std::vector<int32_t> all(count);
    for (int32_t& each : all) each = int32_t(id(of));
    return all;
  }
  int64_t count_of(const std::vector<int32_t>& all) {
    return once_in(30) ? one_of<int64_t>({-1, 0, std::numeric_limits<int64_t>::min()})
                       : int64_t(all.size());
  }

  std::vector<const char*> settings() {
    std::vector<const char*> all = kQuick;
    if (once_in(3))
      all.push_back(one_of<const char*>({"layers=1", "model=lightgcn", "model=mf", "objective=bpr",
                                         "score=dot", "threads=2", "epochs=-1", "speed=1", "=", "",
                                         "tau=", nullptr, "batch=1", "projector=none"}));
    return all;
  }

  // ---- what must hold ----

  template <class Call>
  rec_status check(const char* function, bool must_be_refused, Call call) {
    CHECK(rec_set_threads(-1) == REC_INVALID_ARGUMENT);
    const std::string before = rec_last_error();
    const rec_status status = call();
    INFO(function << " returned " << status << ": " << rec_last_error());
    if (must_be_refused) CHECK(status == REC_INVALID_ARGUMENT);
    CHECK((status >= REC_OK && status < REC_FAILED));
    if (status != REC_OK) {
      CHECK(std::string(rec_last_error()) != "");
      CHECK(std::string(rec_last_error()) != before);
    }
    ++(status == REC_OK ? outcomes_[function].done : outcomes_[function].refused);
    return status;
  }

  template <class Handle, class Make>
  void make(const char* function, Kind kind, Make call, bool must_be_refused = false) {
    Handle* handle = reinterpret_cast<Handle*>(1);
    Handle** place = maybe_null(&handle);
    const rec_status status =
        check(function, must_be_refused || place == nullptr, [&] { return call(place); });
    if (place == nullptr) return;
    if (status != REC_OK) {
      CHECK(handle == nullptr);
      return;
    }
    for (const Slot& slot : slots_) CHECK(slot.handle != handle);
    slots_.push_back({handle, kind, true});
  }

  static rec_status free_of(Kind kind, void* handle) {
    switch (kind) {
      case Kind::dataset: return rec_dataset_free(static_cast<rec_dataset*>(handle));
      case Kind::model: return rec_model_free(static_cast<rec_model*>(handle));
      case Kind::graph: return rec_graph_free(static_cast<rec_graph*>(handle));
      default: return rec_sampler_free(static_cast<rec_sampler*>(handle));
    }
  }

  // ---- actions ----

  rec_vectors vectors(int64_t users, int64_t items) {
    const int64_t dim = one_of<int64_t>({1, 3, 8});
    return {matrix(users, dim), matrix(items, dim),
            once_in(30) ? 2 : one_of<rec_score>({REC_DOT, REC_COSINE})};
  }

  void topk() {
    const rec_vectors by = vectors(kUsers, kItems);
    const std::vector<int32_t> users = ids(below(5), kUsers);
    const int64_t count = count_of(users), k = one_of<int64_t>({1, 3, 30, 0, -1, kHuge});
    const bool everyone = once_in(4);
    const size_t values = (everyone ? size_t(kUsers) + 1 : users.size()) *
                          size_t(k > 30 ? 1 : std::max<int64_t>(k, 1));
    std::vector<int32_t> item(values);
    std::vector<float> score(values);
    const DrawnCsr masks[] = {csr(kUsers, kItems)};
    const std::vector<uint8_t> allowed(size_t(kItems) + 1, uint8_t(below(2)));
    check("topk", k < 1 || k == kHuge, [&] {
      return rec_topk(maybe_null(&by), everyone ? nullptr : users.data(), count, k,
                      maybe_null(&masks[0].view), one_of<int64_t>({0, 1, -1, 4}),
                      once_in(2) ? nullptr : allowed.data(), maybe_null(item.data()),
                      maybe_null(score.data()));
    });
  }

  void evaluate() {
    const rec_vectors by = vectors(kUsers, kItems);
    const DrawnCsr test = csr(kUsers, kItems), mask = csr(kUsers, kItems);
    const int64_t cutoffs[] = {one_of<int64_t>({1, 5, 50, 0, -1, kHuge}), 2};
    std::vector<double> mean(2 * REC_METRICS), each(size_t(kUsers + 1) * mean.size());
    int64_t users = 0;
    check("evaluate", cutoffs[0] < 1, [&] {
      return rec_evaluate(maybe_null(&by), maybe_null(&test.view), maybe_null(&mask.view),
                          one_of<int64_t>({0, 1, -1}), cutoffs, one_of<int64_t>({1, 2, 2, 2}),
                          maybe_null(mean.data()), maybe_null(each.data()), maybe_null(&users));
    });
  }

  void make_graph() {
    const DrawnCsr interactions = csr(kUsers, kItems);
    make<rec_graph>("graph_create", Kind::graph, [&](rec_graph** graph) {
      return rec_graph_create(maybe_null(&interactions.view), graph);
    });
  }

  // A graph that was made of one row or column more or less has other sizes: outputs leave room.
  void use_graph() {
    const auto [graph, alive] = pick<rec_graph>(Kind::graph);
    const int64_t cols = one_of<int64_t>({1, 3, 8});
    std::vector<float> out(size_t(kUsers + kItems + 2) * size_t(cols + 1));
    const int32_t layers = one_of<int32_t>({0, 1, 2, 5, -1});
    const rec_matrix nodes = matrix(kUsers + kItems, cols), items = matrix(kItems, cols),
                     users = matrix(kUsers, cols);
    check("graph_propagate", !alive || layers < 0, [&, g = graph] {
      return rec_graph_propagate(g, layers, maybe_null(&nodes), maybe_null(out.data()));
    });
    check("graph_mean_rows", !alive, [&, g = graph] {
      return rec_graph_mean_rows(g, maybe_null(&items), maybe_null(out.data()));
    });
    check("graph_mean_rows_adjoint", !alive, [&, g = graph] {
      return rec_graph_mean_rows_adjoint(g, maybe_null(&users), maybe_null(out.data()));
    });
  }

  void make_sampler() {
    const DrawnCsr interactions = csr(kUsers, kItems);
    rec_sampling sampling{};
    sampling.batch = one_of<int64_t>({1, kBatch, kBatch, 0, -1, 1000, kHuge});
    sampling.negatives = one_of<int64_t>({1, kNegatives, kNegatives, 0, -1, kHuge});
    sampling.seed = draws_();
    sampling.rule = one_of<const char*>({nullptr, "user", "interaction", "random_user", "items"});
    sampling.distribution = one_of<const char*>({nullptr, "uniform", "popularity", "zipf"});
    sampling.exponent = one_of<double>({0, 1, 0.5, -1, NAN, INFINITY});
    make<rec_sampler>("sampler_create", Kind::sampler, [&](rec_sampler** sampler) {
      return rec_sampler_create(maybe_null(&interactions.view), maybe_null(&sampling), sampler);
    });
  }

  void draw() {
    const auto [sampler, alive] = pick<rec_sampler>(Kind::sampler);
    int64_t steps = 0;
    check("sampler_steps", !alive,
          [&, s = sampler] { return rec_sampler_steps(s, maybe_null(&steps)); });
    std::vector<int32_t> user(kBatch), positive(kBatch), negative(kBatch * kNegatives);
    const int64_t epoch = one_of<int64_t>({0, 3, -1, int64_t{1} << 32, kHuge});
    check("sampler_draw", !alive || epoch < 0 || epoch > 3, [&, s = sampler] {
      return rec_sampler_draw(s, epoch, one_of<int64_t>({0, 1, 1000, -1}), maybe_null(user.data()),
                              maybe_null(positive.data()), maybe_null(negative.data()));
    });
  }

  void loss() {
    const rec_vectors by = vectors(kUsers, kItems);
    const size_t rows = 1 + below(4), negatives = 1 + below(3);
    const std::vector<int32_t> user = ids(rows, kUsers), positive = ids(rows, kItems),
                               negative = ids(rows * negatives, kItems);
    rec_batch batch{int64_t(rows),
                    int64_t(negatives),
                    maybe_null(user.data()),
                    maybe_null(positive.data()),
                    maybe_null(negative.data()),
                    once_in(30) ? 7 : one_of<rec_objective>({REC_INFONCE, REC_BPR}),
                    one_of<float>({0.1f, 1.0f, 0.0f, -1.0f, NAN})};
    if (once_in(20)) batch.rows = one_of<int64_t>({0, -1, kHuge});
    if (once_in(20)) batch.negatives = one_of<int64_t>({0, -1, kHuge});
    double value = 0;
    std::vector<float> grad_user(size_t(kUsers + 1) * 9), grad_item(size_t(kItems + 1) * 9);
    check("batch_loss", batch.rows < 1 || batch.negatives < 1, [&] {
      return rec_batch_loss(maybe_null(&by), maybe_null(&batch), maybe_null(&value),
                            maybe_null(grad_user.data()), maybe_null(grad_item.data()));
    });
  }

  void make_dataset() {
    const CallerArrays small;
    rec_arrays arrays = small.c_arrays();
    if (once_in(8)) arrays.train = {};
    const DrawnCsr other = csr(kUsers, kItems);
    if (once_in(4)) arrays.train = other.view;
    if (once_in(4)) arrays.valid = {};
    if (once_in(8)) arrays.test = other.view;
    if (once_in(4)) arrays.language = matrix(kItems, CallerArrays::kWidth);
    if (once_in(4)) arrays.name = one_of<const char*>({"", "books", "\xff"});
    const std::vector<const char*> names(size_t(kUsers),
                                         one_of<const char*>({"a", "", nullptr, "\xff"}));
    if (once_in(6)) {
      arrays.user_id = maybe_null(names.data());
      arrays.user_id_count = one_of<int64_t>({-1, 1, kUsers});
    }
    make<rec_dataset>("dataset_from_arrays", Kind::dataset, [&](rec_dataset** data) {
      return rec_dataset_from_arrays(maybe_null(&arrays), data);
    });
    const std::string elsewhere = folder_ / "none";
    make<rec_dataset>("dataset_load", Kind::dataset, [&](rec_dataset** data) {
      return rec_dataset_load(maybe_null(once_in(2) ? elsewhere.c_str() : dataset_folder()),
                              nullptr, data);
    });
  }

  const char* dataset_folder() {
    if (dataset_folder_.empty()) {
      put_small_dataset(folder_, "small");
      dataset_folder_ = folder_ / "small";
    }
    return dataset_folder_.c_str();
  }

  struct Text {
    std::vector<char> buffer;
    int64_t capacity, length = 0;
  };
  Text text() {
    const int64_t capacity = one_of<int64_t>({0, 1, 4, 500, -1});
    return {std::vector<char>(size_t(std::max<int64_t>(capacity, 1))), capacity};
  }

  void use_dataset() {
    const auto [data, alive] = pick<rec_dataset>(Kind::dataset);
    int64_t sizes[3] = {};
    check("dataset_size", !alive, [&, d = data] {
      return rec_dataset_size(d, maybe_null(&sizes[0]), maybe_null(&sizes[1]),
                              maybe_null(&sizes[2]));
    });
    rec_csr split{};
    check("dataset_split", !alive, [&, d = data] {
      return rec_dataset_split(d, one_of<rec_split>({REC_TRAIN, REC_VALID, REC_TEST, 0, 3, 8}),
                               maybe_null(&split));
    });
    rec_matrix language{};
    check("dataset_language", !alive,
          [&, d = data] { return rec_dataset_language(d, maybe_null(&language)); });
    Text to = text();
    check("dataset_name", !alive, [&, d = data] {
      return rec_dataset_name(
          d, one_of<rec_name>({REC_USER_ID, REC_ITEM_ID, REC_ITEM_TITLE, 3, -1}), id(6),
          maybe_null(to.buffer.data()), to.capacity, maybe_null(&to.length));
    });
    int32_t number = 0;
    check("dataset_find", !alive, [&, d = data] {
      return rec_dataset_find(d, one_of<rec_name>({REC_USER_ID, REC_ITEM_ID, REC_ITEM_TITLE, -1}),
                              one_of<const char*>({"0", "1", "a", "", "99", "-1", nullptr}),
                              maybe_null(&number));
    });
    const std::vector<const char*> all = settings();
    check("settings", data != nullptr && !alive, [&, d = data] {
      return rec_settings(d, all.data(), int64_t(all.size()), maybe_null(to.buffer.data()),
                          to.capacity, &to.length);
    });
  }

  void train() {
    if (trainings_ >= kMostTrainings) return;
    const auto [data, alive] = pick<rec_dataset>(Kind::dataset);
    const std::vector<const char*> all = settings();
    rec_train_options options{};
    options.settings = maybe_null(all.data());
    options.settings_count = int64_t(all.size());
    options.device = once_in(8) ? "toaster" : "cpu";
    options.resume = once_in(3);
    options.overwrite = once_in(3);
    options.user_data = this;
    if (once_in(2))
      options.on_epoch = [](const rec_epoch* epoch, void* self) {
        static_cast<Fuzz*>(self)->use_dataset();  // hooks may call
        return int(epoch->loss > 100);
      };
    if (once_in(3))
      options.on_step = [](void* self) { return int(static_cast<Fuzz*>(self)->once_in(9)); };
    const std::string run = folder_ / ("run" + std::to_string(below(4)));
    const rec_status status = check("train", !alive, [&, d = data] {
      return rec_train(d, maybe_null(run.c_str()), maybe_null(&options));
    });
    trainings_ += status == REC_OK || status == REC_INTERRUPTED;
  }

  void make_model() {
    const auto [data, alive] = pick<rec_dataset>(Kind::dataset);
    const std::string run =
        folder_ / one_of<const char*>({"run0", "run1", "run2", "run3", "saved", "none"});
    make<rec_model>(
        "model_load", Kind::model,
        [&, d = data](rec_model** model) {
          return rec_model_load(maybe_null(run.c_str()), d, once_in(8) ? "toaster" : "cpu", model);
        },
        data != nullptr && !alive);
  }

  void recommend() {
    const auto [model, alive] = pick<rec_model>(Kind::model);
    const std::vector<int32_t> some = ids(below(4), 5);
    const int64_t count = count_of(some);
    const std::vector<uint8_t> allowed(size_t(kItems) + 2, uint8_t(below(2)));
    rec_list_options options{};
    options.k = one_of<int64_t>({0, 1, 5, 30, -1, kHuge});
    options.leave_out = one_of<uint32_t>({0, REC_TRAIN, REC_TRAIN | REC_TEST, 7, 8});
    options.keep_all = once_in(3);
    options.allowed = once_in(2) ? allowed.data() : nullptr;
    const rec_list_options* how = maybe_null(&options);
    const size_t values = 8 * 30;
    std::vector<int32_t> item(values);
    std::vector<float> score(values);
    check("model_recommend", !alive, [&, m = model] {
      return rec_model_recommend(m, maybe_null(some.data()), count, how, maybe_null(item.data()),
                                 maybe_null(score.data()));
    });
    check("model_similar", !alive, [&, m = model] {
      return rec_model_similar(m, some.data(), count, how, item.data(), score.data());
    });
    const rec_matrix query = matrix(one_of<int64_t>({1, 1, 2}), one_of<int64_t>({2, 5, 5, 5}));
    check("model_recommend_towards", !alive, [&, m = model] {
      return rec_model_recommend_towards(m, some.data(), count, maybe_null(&query),
                                         one_of<double>({0, 0.5, 1, 2, NAN}), once_in(3), how,
                                         item.data(), score.data());
    });
    const DrawnCsr histories = csr(2, kItems);
    check("model_recommend_histories", !alive, [&, m = model] {
      return rec_model_recommend_histories(m, maybe_null(&histories.view), once_in(3), how,
                                           item.data(), score.data());
    });
  }

  void use_model() {
    const auto [model, alive] = pick<rec_model>(Kind::model);
    int64_t users = 0, items = 0, dim = 0;
    const bool sized = check("model_size", !alive, [&, m = model] {
                         return rec_model_size(m, &users, &items, &dim);
                       }) == REC_OK;
    std::vector<float> user(size_t(users * dim)), item(size_t(items * dim));
    check("model_vectors", !alive, [&, m = model] {
      return rec_model_vectors(m, sized ? user.data() : nullptr, sized ? item.data() : nullptr);
    });
    const DrawnCsr test = csr(kUsers, kItems);
    const int64_t cutoffs[] = {one_of<int64_t>({1, 5, 0, kHuge}), 2};
    std::vector<double> mean(2 * REC_METRICS);
    check("model_evaluate", !alive, [&, m = model] {
      return rec_model_evaluate(m, maybe_null(&test.view), one_of<uint32_t>({0, 1, 7, 9}), cutoffs,
                                one_of<int64_t>({0, 1, 2, -1}), maybe_null(mean.data()), nullptr,
                                nullptr);
    });
    Text to = text();
    check("model_settings", !alive, [&, m = model] {
      return rec_model_settings(m, maybe_null(to.buffer.data()), to.capacity, &to.length);
    });
    check("model_notices", !alive, [&, m = model] {
      return rec_model_notices(m, maybe_null(to.buffer.data()), to.capacity, nullptr);
    });
    make<rec_dataset>(
        "model_dataset", Kind::dataset,
        [&, m = model](rec_dataset** data) { return rec_model_dataset(m, data); }, !alive);
    const std::string saved = folder_ / "saved";
    check("model_save", !alive,
          [&, m = model] { return rec_model_save(m, maybe_null(saved.c_str())); });
  }

  void free_one() {
    const Kind kind = one_of<Kind>({Kind::dataset, Kind::model, Kind::graph, Kind::sampler});
    const auto [handle, alive] = pick<void>(kind);
    check("free", handle != nullptr && !alive, [&, h = handle] { return free_of(kind, h); });
    for (Slot& slot : slots_)
      if (slot.handle == handle && slot.kind == kind) slot.alive = false;
  }

  void threads() {
    CHECK(rec_set_threads(once_in(10) ? 2 : 1) == REC_OK);
    int32_t now = 0;
    check("threads", false, [&] { return rec_threads(maybe_null(&now)); });
  }

  static constexpr int64_t kUsers = CallerArrays::kUsers, kItems = CallerArrays::kItems, kBatch = 4,
                           kNegatives = 3;

  std::mt19937_64 draws_;
  TemporaryFolder folder_;
  std::string dataset_folder_;
  std::vector<Slot> slots_;
  std::vector<std::vector<float>> floats_;
  std::map<std::string, Outcomes> outcomes_;
  int trainings_ = 0;
};

}  // namespace

TEST_CASE("c api: random calls with random handles") {
  std::map<std::string, Outcomes> all;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    Fuzz fuzz(seed);
    for (int n = 0; n < 1500; ++n) fuzz.step();
    for (const auto& [function, outcomes] : fuzz.outcomes()) {
      all[function].done += outcomes.done;
      all[function].refused += outcomes.refused;
    }
  }
  for (const auto& [function, outcomes] : all) {
    INFO(function);
    CHECK(outcomes.done > 0);
    CHECK(outcomes.refused > 0);
  }
  REQUIRE(rec_set_threads(0) == REC_OK);
}

}  // namespace rec::test
