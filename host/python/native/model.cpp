#include "host/python/native/model.h"

#include <fmt/format.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/library/memory_dataset.h"
#include "host/library/recommender.h"
#include "host/library/saved_run.h"
#include "host/library/training_config.h"
#include "host/python/native/csr.h"
#include "host/run/split_evaluator.h"
#include "host/train/trainer.h"

namespace rec::python {
namespace {

using Clock = std::chrono::steady_clock;
using Settings = std::vector<std::string>;  // "key=value"

constexpr auto kBetweenPolls = std::chrono::milliseconds(50);

// ---- data ----

// Arrays that stay as long as any dataset has them; given back with the lock held.
std::shared_ptr<const float> shared_values(Given array, const float* values) {
  auto owner = std::make_unique<Given>(std::move(array));
  return {values, [kept = owner.release()](const float*) {
            const nb::gil_scoped_acquire lock;
            delete kept;
          }};
}

Dataset dataset_of_arrays(const Csr& train, const Csr* valid, const Csr* test,
                          std::optional<Given> vectors, std::vector<std::string> user_ids,
                          std::vector<std::string> item_ids, std::vector<std::string> item_titles,
                          const std::string& model, const std::string& basis) {
  DatasetArrays arrays;
  arrays.train = train.view();
  if (valid != nullptr) arrays.valid = valid->view();
  if (test != nullptr) arrays.test = test->view();
  if (vectors) {
    const MatrixView<const float> z = float_matrix(*vectors, "item_vectors");
    if (z.rows > 1 && z.stride != z.cols)
      throw nb::value_error(
          "item_vectors: expected rows that lie one after another, given rows that lie apart; lay "
          "them "
          "out once with numpy.ascontiguousarray()");
    arrays.language = shared_values(std::move(*vectors), z.data);
    arrays.language_items = z.rows;
    arrays.language_width = z.cols;
  }
  arrays.user_ids = std::move(user_ids);
  arrays.item_ids = std::move(item_ids);
  arrays.item_titles = std::move(item_titles);
  arrays.language_model = {model, basis};
  return dataset_of(std::move(arrays));
}

Dataset dataset_of_folder(const std::string& path) { return load_dataset(path); }

Split split_named(const std::string& name) {
  for (Split split : {Split::train, Split::valid, Split::test})
    if (split_name(split) == name) return split;
  throw nb::value_error(
      fmt::format("split: expected 'train', 'valid' or 'test', given '{}'", name).c_str());
}

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> copied(const std::vector<T>& values) {
  auto owner = std::make_unique<std::vector<T>>(values);
  T* data = owner->data();
  const size_t size = owner->size();
  nb::capsule keeper(owner.release(),
                     [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {data, {size}, keeper};
}

// row_start int64 and items int32 of a split, copies.
nb::tuple split_arrays(const Dataset& data, const std::string& name) {
  const HostCsr& split = data.split(split_named(name));
  return nb::make_tuple(copied(split.row_start), copied(split.col));
}

void copy_vectors(const Dataset& data, const Result& out) {
  const MatrixView<const float> z = data.language.view();
  const MatrixView<float> to = float_result(out, "out", z.rows, z.cols);
  for (int64_t r = 0; r < z.rows; ++r) std::copy_n(z.row(r), z.cols, to.row(r));
}

template <class Name>
std::vector<std::string> names(int64_t count, Name name) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(name(i));
  return all;
}

// ---- history ----

// {"epoch", "loss", those of valid, "seconds"}
nb::dict dict_of(const MetricsLine& line) {
  nb::dict values;
  values["epoch"] = line.epoch;
  values["loss"] = line.loss;
  for (const auto& [name, value] : line.valid) values[name.c_str()] = value;
  values["seconds"] = line.seconds;
  return values;
}

MetricsLine line_of(const nb::dict& values) {
  MetricsLine line;
  for (const auto& [key, value] : values) {
    const auto name = nb::cast<std::string>(key);
    if (name == "epoch")
      line.epoch = nb::cast<int64_t>(value);
    else if (name == "loss")
      line.loss = nb::cast<double>(value);
    else if (name == "seconds")
      line.seconds = nb::cast<double>(value);
    else
      line.valid.emplace_back(name, nb::cast<double>(value));
  }
  return line;
}

// Of a run folder; empty where it keeps none.
nb::list history(const std::string& folder) {
  nb::list all;
  for (const MetricsLine& line : RunFolder(folder).read_metrics()) all.append(dict_of(line));
  return all;
}

// ---- training ----

// What training asks of Python while it runs without the lock.
class Watcher {
 public:
  Watcher(nb::object on_epoch, nb::object on_poll)
      : on_epoch_(std::move(on_epoch)), on_poll_(std::move(on_poll)) {}

  bool goes_on(const MetricsLine& line) {
    const nb::gil_scoped_acquire lock;
    return nb::cast<bool>(on_epoch_(dict_of(line)));
  }

  // Ctrl-C, and what on_poll raises, end the training as an interruption does.
  bool should_stop() {
    ++steps_;
    if (Clock::now() - last_poll_ < kBetweenPolls) return false;
    last_poll_ = Clock::now();
    const nb::gil_scoped_acquire lock;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      on_poll_(std::exchange(steps_, 0));
      return false;
    } catch (...) {
      raised_ = std::current_exception();
      return true;
    }
  }

  void rethrow() const {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  nb::object on_epoch_, on_poll_;
  Clock::time_point last_poll_ = Clock::now();
  int64_t steps_ = 0;
  std::exception_ptr raised_;
};

// Trains into the run folder, on from where it stopped if resume. on_epoch(line of history) returns whether to go on;
// on_poll(steps) is called now and then.
void train_model(const Dataset& data, const Settings& settings, const std::string& folder,
                 bool resume, const std::string& device, nb::object on_epoch, nb::object on_poll) {
  Watcher watcher(std::move(on_epoch), std::move(on_poll));
  {
    const nb::gil_scoped_release unlocked;
    TrainRequest request;
    request.device = device;
    request.resume = resume;
    request.quiet = true;
    request.on_epoch = [&](const MetricsLine& line) { return watcher.goes_on(line); };
    request.should_stop = [&] { return watcher.should_stop(); };
    train(JointDataset(data), training_config(settings, &data), RunFolder(folder), request);
  }
  watcher.rethrow();
}

// ---- a trained model ----

// A Recommender that several threads may ask.
class TrainedModel {
 public:
  // run: a run folder or a checkpoint. data: what to apply it to; the run's own if not given.
  TrainedModel(const std::string& run, const Dataset* data, const std::string& device, int threads)
      : recommender_(load(run, data, device, threads)) {}

  Dataset dataset() const { return recommender_.data(); }
  std::string settings() const { return to_toml(recommender_.run().config); }
  const std::vector<std::string>& notices() const { return recommender_.run().notices; }
  int64_t dim() const { return recommender_.dim(); }

  void for_users(const Given& users, const ListRequest& request, const Result& out_ids,
                 const Result& out_scores) {
    const std::lock_guard lock(mutex_);
    put(recommender_.for_users(users_of(users), request), out_ids, out_scores);
  }
  void towards(const Given& users, const Given& query, double alpha, bool exact,
               const ListRequest& request, const Result& out_ids, const Result& out_scores) {
    const std::lock_guard lock(mutex_);
    const Intention intention{float_matrix(query, "intent"), alpha, exact};
    put(recommender_.for_users_towards(users_of(users), intention, request), out_ids, out_scores);
  }
  void for_histories(const std::vector<std::vector<int32_t>>& histories, bool exact,
                     const ListRequest& request, const Result& out_ids, const Result& out_scores) {
    const std::lock_guard lock(mutex_);
    put(recommender_.for_histories(histories, exact ? NewUserGraph::rebuilt : NewUserGraph::frozen,
                                   request),
        out_ids, out_scores);
  }
  void similar(const Given& items, const ListRequest& request, const Result& out_ids,
               const Result& out_scores) {
    const std::lock_guard lock(mutex_);
    const Ids ids(items, "items", 1, recommender_.data().items, "items");
    put(recommender_.similar_items({ids.vector().begin(), ids.vector().end()}, request), out_ids,
        out_scores);
  }
  void vectors(bool of_users, const Result& out) {
    const std::lock_guard lock(mutex_);
    const Dataset& data = recommender_.data();
    const std::vector<float> values =
        of_users ? recommender_.user_vectors() : recommender_.item_vectors();
    std::copy(values.begin(), values.end(),
              float_result(out, "out", of_users ? data.users : data.items, dim()).data);
  }
  std::vector<MetricValues> evaluate(const Csr& test, const std::vector<std::string>& leave_out,
                                     const std::vector<int64_t>& cutoffs) {
    const std::lock_guard lock(mutex_);
    return recommender_.evaluate(test.view(), splits(leave_out), cutoffs).mean;
  }
  void save(const std::string& folder, const nb::list& history) const {
    std::vector<MetricsLine> lines;
    for (const nb::handle values : history) lines.push_back(line_of(nb::cast<nb::dict>(values)));
    const nb::gil_scoped_release unlocked;
    save_run(folder, recommender_.run(), lines);
  }

  static std::vector<Split> splits(const std::vector<std::string>& names) {
    std::vector<Split> all;
    for (const std::string& name : names) all.push_back(split_named(name));
    return all;
  }

 private:
  static LoadedRun load(const std::string& run, const Dataset* data, const std::string& device,
                        int threads) {
    LoadRequest request;
    request.run = run;
    request.device = device;
    request.threads = threads;
    return data != nullptr ? load_run(request, *data) : load_run(request);
  }

  std::vector<int32_t> users_of(const Given& users) const {
    const Ids ids(users, "users", 1, recommender_.data().users, "users");
    return {ids.vector().begin(), ids.vector().end()};
  }

  static void put(const TopLists& lists, const Result& out_ids, const Result& out_scores) {
    const MatrixView<int32_t> ids = id_result(out_ids, "ids", lists.rows, lists.k);
    const MatrixView<float> scores = float_result(out_scores, "scores", lists.rows, lists.k);
    std::copy(lists.item.begin(), lists.item.end(), ids.data);
    std::copy(lists.score.begin(), lists.score.end(), scores.data);
  }

  Recommender recommender_;
  mutable std::mutex mutex_;
};

ListRequest list_request(int64_t k, const std::vector<std::string>& leave_out,
                         const std::optional<Given>& allowed) {
  ListRequest request;
  request.k = k;
  request.leave_out = TrainedModel::splits(leave_out);
  if (allowed) {
    const VectorView<const uint8_t> shown = flags(*allowed, "items");
    request.allowed.assign(shown.begin(), shown.end());
  }
  return request;
}

}  // namespace

void bind_model(nb::module_& module) {
  using Unlocked = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Dataset>(module, "Dataset")
      .def_ro("users", &Dataset::users)
      .def_ro("items", &Dataset::items)
      .def_prop_ro("language_model",
                   [](const Dataset& data) {
                     return nb::make_tuple(data.language_model.model, data.language_model.basis);
                   })
      .def_prop_ro("width", [](const Dataset& data) { return data.language.width(); })
      .def_prop_ro("has_user_ids", [](const Dataset& data) { return data.user_table.size() > 0; })
      .def_prop_ro("has_item_ids", [](const Dataset& data) { return data.item_table.size() > 0; })
      .def_prop_ro("user_ids",
                   [](const Dataset& data) {
                     return names(data.users, [&](int64_t u) { return data.user_name(u); });
                   })
      .def_prop_ro("item_ids",
                   [](const Dataset& data) {
                     return names(data.items, [&](int64_t i) { return data.item_name(i); });
                   })
      .def_prop_ro("item_titles",
                   [](const Dataset& data) {
                     return names(data.items, [&](int64_t i) { return data.item_title(i); });
                   })
      .def("split", &split_arrays, nb::arg("name"))
      .def("copy_vectors", &copy_vectors, nb::arg("out"));
  module.def("dataset_of_arrays", &dataset_of_arrays, nb::arg("train"), nb::arg("valid").none(),
             nb::arg("test").none(), nb::arg("vectors").none(), nb::arg("user_ids"),
             nb::arg("item_ids"), nb::arg("item_titles"), nb::arg("model"), nb::arg("basis"));
  module.def("dataset_of_folder", &dataset_of_folder, Unlocked(), nb::arg("path"));
  module.def("train", &train_model, nb::arg("data"), nb::arg("settings"), nb::arg("folder"),
             nb::arg("resume"), nb::arg("device"), nb::arg("on_epoch"), nb::arg("on_poll"));
  module.def("history", &history, nb::arg("folder"));
  module.def("setting_named", &setting_named, nb::arg("name"));
  module.def("resolved_settings", &resolved_settings, nb::arg("settings"), nb::arg("data").none());

  nb::class_<ListRequest>(module, "ListRequest");
  module.def("list_request", &list_request, nb::arg("k"), nb::arg("leave_out"),
             nb::arg("items").none());
  nb::class_<TrainedModel>(module, "TrainedModel")
      .def(nb::init<const std::string&, const Dataset*, const std::string&, int>(), Unlocked(),
           nb::arg("run"), nb::arg("data").none(), nb::arg("device"), nb::arg("threads"))
      .def_prop_ro("dataset", &TrainedModel::dataset)
      .def_prop_ro("settings", &TrainedModel::settings)
      .def_prop_ro("notices", &TrainedModel::notices)
      .def_prop_ro("dim", &TrainedModel::dim)
      .def("for_users", &TrainedModel::for_users, Unlocked())
      .def("towards", &TrainedModel::towards, Unlocked())
      .def("for_histories", &TrainedModel::for_histories, Unlocked())
      .def("similar", &TrainedModel::similar, Unlocked())
      .def("vectors", &TrainedModel::vectors, Unlocked())
      .def("evaluate", &TrainedModel::evaluate, Unlocked())
      .def("save", &TrainedModel::save);
}

}  // namespace rec::python
