// rec.h: training, and what was trained.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "host/c_api/arguments.h"
#include "host/c_api/calls.h"
#include "host/c_api/dataset_object.h"
#include "host/c_api/handles.h"
#include "host/c_api/lists.h"
#include "host/c_api/splits.h"
#include "host/library/recommender.h"
#include "host/library/saved_run.h"
#include "host/library/threads.h"
#include "host/library/training_config.h"
#include "host/train/trainer.h"

namespace rec::c_api {
namespace {

constexpr const char* kAnyDevice = "auto";

// ---- training ----

bool goes_on(const rec_train_options& options, const MetricsLine& line) {
  std::vector<const char*> names;
  std::vector<double> values;
  for (const auto& [name, value] : line.valid) {
    names.push_back(name.c_str());
    values.push_back(value);
  }
  const rec_epoch epoch{line.epoch,   line.loss,    line.seconds, int64_t(names.size()),
                        names.data(), values.data()};
  return options.on_epoch(&epoch, options.user_data) == 0;
}

TrainRequest request_of(const rec_train_options& options) {
  TrainRequest request;
  request.device = text_or(options.device, kAnyDevice);
  request.resume = options.resume != 0;
  request.overwrite = options.overwrite != 0;
  request.quiet = true;
  if (options.on_epoch != nullptr)
    request.on_epoch = [&options](const MetricsLine& line) { return goes_on(options, line); };
  if (options.on_step != nullptr)
    request.should_stop = [&options] { return options.on_step(options.user_data) != 0; };
  return request;
}

// ---- a trained model ----

class ModelObject final : public Object {
 public:
  using Handle = rec_model;
  static constexpr const char* kKind = "model";

  explicit ModelObject(LoadedRun run) : recommender_(std::move(run)) {}
  const char* kind() const override { return kKind; }
  const Recommender& recommender() const { return recommender_; }
  const Dataset& data() const { return recommender_.data(); }

  // body(Recommender&), one at a time.
  template <class Body>
  auto ask(Body body) {
    const std::lock_guard lock(asking_);
    return body(recommender_);
  }

 private:
  Recommender recommender_;
  std::mutex asking_;
};

LoadedRun load(const char* run, const rec_dataset* dataset, const char* device) {
  LoadRequest request;
  request.run = text(run, "run");
  request.device = text_or(device, kAnyDevice);
  request.threads = threads_setting();
  return dataset == nullptr ? load_run(request)
                            : load_run(request, get<DatasetObject>(dataset)->data());
}

std::vector<int32_t> numbers(const int32_t* given, int64_t count, const char* name) {
  require_count(count, given, name);
  return {given, given + count};  // Recommender looks at them
}

ListRequest list_request(const rec_list_options* options, int64_t items) {
  ListRequest request;
  if (options == nullptr) return request;
  if (options->k != 0) request.k = options->k;
  require_list_length(request.k);
  if (options->leave_out != 0) request.leave_out = splits_of(options->leave_out);
  if (options->keep_all != 0) request.leave_out.clear();
  if (options->allowed != nullptr)
    request.allowed.assign(options->allowed, options->allowed + items);
  return request;
}

std::vector<std::vector<int32_t>> rows_of(CsrView m) {
  std::vector<std::vector<int32_t>> rows;
  for (int64_t r = 0; r < m.rows; ++r) rows.emplace_back(m.row(r), m.row(r + 1));
  return rows;
}

// lists(Recommender&, ListRequest) made and given.
template <class Lists>
void recommend(ModelObject& model, const rec_list_options* options, int32_t* out_item,
               float* out_score, Lists lists) {
  const ListRequest request = list_request(options, model.data().items);
  const TopLists made =
      model.ask([&](Recommender& recommender) { return lists(recommender, request); });
  give_lists(made, request.k, out_item, out_score);
}

}  // namespace
}  // namespace rec::c_api

using namespace rec;
using namespace rec::c_api;

rec_status rec_train(const rec_dataset* dataset, const char* folder,
                     const rec_train_options* options) {
  return call([&] {
    const auto object = get<DatasetObject>(dataset);
    const rec_train_options how = options == nullptr ? rec_train_options{} : *options;
    const RunFolder run(text(folder, "folder"));
    Config config =
        training_config(texts(how.settings, how.settings_count, "settings"), &object->data());
    if (config.threads == 0) config.threads = threads_setting();
    const TrainEnd end = train(JointDataset(object->data()), config, run, request_of(how));
    if (end == TrainEnd::interrupted)
      throw Interrupted(run.path() +
                        ": training was interrupted, and all is saved; resume goes on");
  });
}

rec_status rec_settings(const rec_dataset* dataset, const char* const* settings,
                        int64_t settings_count, char* to, int64_t capacity, int64_t* length) {
  return call([&] {
    const auto object = dataset == nullptr ? nullptr : get<DatasetObject>(dataset);
    const std::string all = resolved_settings(texts(settings, settings_count, "settings"),
                                              object == nullptr ? nullptr : &object->data());
    give_text(all, to, capacity, length);
  });
}

rec_status rec_model_load(const char* run, const rec_dataset* dataset, const char* device,
                          rec_model** model) {
  return call([&] {
    rec_model*& made = place(model, "model");
    made = enlist(std::make_shared<ModelObject>(load(run, dataset, device)));
  });
}

rec_status rec_model_free(rec_model* model) {
  return call([&] { free_handle<ModelObject>(model); });
}

rec_status rec_model_size(const rec_model* model, int64_t* users, int64_t* items, int64_t* dim) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    if (users != nullptr) *users = object->data().users;
    if (items != nullptr) *items = object->data().items;
    if (dim != nullptr) *dim = object->recommender().dim();
  });
}

rec_status rec_model_dataset(const rec_model* model, rec_dataset** dataset) {
  return call([&] {
    rec_dataset*& made = place(dataset, "dataset");
    const auto object = get<ModelObject>(model);
    made = enlist(
        std::make_shared<DatasetObject>(std::shared_ptr<const Dataset>(object, &object->data())));
  });
}

rec_status rec_model_settings(const rec_model* model, char* to, int64_t capacity, int64_t* length) {
  return call([&] {
    give_text(to_toml(get<ModelObject>(model)->recommender().run().config), to, capacity, length);
  });
}

rec_status rec_model_notices(const rec_model* model, char* to, int64_t capacity, int64_t* length) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    give_text(fmt::format("{}", fmt::join(object->recommender().run().notices, "\n")), to, capacity,
              length);
  });
}

rec_status rec_model_recommend(const rec_model* model, const int32_t* users, int64_t count,
                               const rec_list_options* options, int32_t* out_item,
                               float* out_score) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    const std::vector<int32_t> of = numbers(users, count, "users");
    recommend(
        *object, options, out_item, out_score,
        [&](Recommender& by, const ListRequest& request) { return by.for_users(of, request); });
  });
}

rec_status rec_model_recommend_towards(const rec_model* model, const int32_t* users, int64_t count,
                                       const rec_matrix* query, double alpha, int32_t exact,
                                       const rec_list_options* options, int32_t* out_item,
                                       float* out_score) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    const std::vector<int32_t> of = numbers(users, count, "users");
    const Intention intention{matrix(query, "query"), alpha, exact != 0};
    recommend(*object, options, out_item, out_score,
              [&](Recommender& by, const ListRequest& request) {
                return by.for_users_towards(of, intention, request);
              });
  });
}

rec_status rec_model_recommend_histories(const rec_model* model, const rec_csr* histories,
                                         int32_t exact, const rec_list_options* options,
                                         int32_t* out_item, float* out_score) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    const std::vector<std::vector<int32_t>> of = rows_of(csr(histories, "histories", Order::any));
    const NewUserGraph graph = exact != 0 ? NewUserGraph::rebuilt : NewUserGraph::frozen;
    recommend(*object, options, out_item, out_score,
              [&](Recommender& by, const ListRequest& request) {
                return by.for_histories(of, graph, request);
              });
  });
}

rec_status rec_model_similar(const rec_model* model, const int32_t* items, int64_t count,
                             const rec_list_options* options, int32_t* out_item, float* out_score) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    const std::vector<int32_t> of = numbers(items, count, "items");
    recommend(
        *object, options, out_item, out_score,
        [&](Recommender& by, const ListRequest& request) { return by.similar_items(of, request); });
  });
}

rec_status rec_model_vectors(const rec_model* model, float* out_user, float* out_item) {
  return call([&] {
    get<ModelObject>(model)->ask([&](Recommender& by) {
      if (out_user != nullptr) std::ranges::copy(by.user_vectors(), out_user);
      if (out_item != nullptr) std::ranges::copy(by.item_vectors(), out_item);
    });
  });
}

rec_status rec_model_evaluate(const rec_model* model, const rec_csr* test, uint32_t leave_out,
                              const int64_t* at, int64_t cutoff_count, double* out_mean,
                              double* out_user, int64_t* users) {
  return call([&] {
    const auto object = get<ModelObject>(model);
    const CsrView truth = csr(test, "test");
    require_given(out_mean, "out_mean");
    const Evaluation evaluation = object->ask([&](Recommender& by) {
      return by.evaluate(truth, splits_of(leave_out), cutoffs(at, cutoff_count));
    });
    give_metrics(evaluation, out_mean, out_user, users);
  });
}

rec_status rec_model_save(const rec_model* model, const char* folder) {
  return call(
      [&] { save_run(text(folder, "folder"), get<ModelObject>(model)->recommender().run()); });
}
