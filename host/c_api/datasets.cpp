// rec.h: datasets.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "host/c_api/arguments.h"
#include "host/c_api/calls.h"
#include "host/c_api/dataset_object.h"
#include "host/c_api/splits.h"
#include "host/library/checks.h"
#include "host/library/memory_dataset.h"

namespace rec::c_api {
namespace {

[[noreturn]] void refuse_name(rec_name which) {
  throw std::invalid_argument(fmt::format(
      "which: expected REC_USER_ID, REC_ITEM_ID or, of names, REC_ITEM_TITLE, given {}", which));
}

CsrView interactions(const rec_csr& given, const char* name) {
  const bool is_none = given.users == 0 && given.entries == 0 && given.row_start == nullptr;
  return is_none ? CsrView{} : csr(&given, name, Order::any);
}

// A copy, its rows one after another.
std::shared_ptr<const float> copied(MatrixView<const float> x) {
  auto values = std::make_shared<std::vector<float>>();
  values->reserve(static_cast<size_t>(x.rows * x.cols));
  for (int64_t r = 0; r < x.rows; ++r) values->insert(values->end(), x.row(r), x.row(r) + x.cols);
  return {values, values->data()};
}

DatasetArrays arrays_of(const rec_arrays& given) {
  DatasetArrays arrays;
  arrays.name = text_or(given.name, "data");
  arrays.train = csr(&given.train, "train", Order::any);
  arrays.valid = interactions(given.valid, "valid");
  arrays.test = interactions(given.test, "test");
  const MatrixView<const float> language = matrix(&given.language, "language");
  if (language.rows > 0) {
    arrays.language = copied(language);
    arrays.language_items = language.rows;
    arrays.language_width = language.cols;
  }
  arrays.user_ids = texts(given.user_id, given.user_id_count, "user_id");
  arrays.item_ids = texts(given.item_id, given.item_id_count, "item_id");
  arrays.item_titles = texts(given.item_title, given.item_title_count, "item_title");
  return arrays;
}

}  // namespace

std::string DatasetObject::name(rec_name which, int64_t number) const {
  switch (which) {
    case REC_USER_ID: require_id(number, "number", "users", data_->users); break;
    case REC_ITEM_ID:
    case REC_ITEM_TITLE: require_id(number, "number", "items", data_->items); break;
    default: refuse_name(which);
  }
  return which == REC_USER_ID   ? data_->user_name(number)
         : which == REC_ITEM_ID ? data_->item_name(number)
                                : data_->item_title(number);
}

std::optional<int32_t> DatasetObject::find(rec_name which, const std::string& id) {
  if (which == REC_USER_ID) {
    std::call_once(users_once_,
                   [&] { users_.emplace(data_->user_table.original_id, data_->users); });
    return users_->find(id);
  }
  if (which != REC_ITEM_ID) refuse_name(which);
  std::call_once(items_once_, [&] { items_.emplace(data_->item_table.original_id, data_->items); });
  return items_->find(id);
}

Split split_of(rec_split split) {
  switch (split) {
    case REC_TRAIN: return Split::train;
    case REC_VALID: return Split::valid;
    case REC_TEST: return Split::test;
    default:
      throw std::invalid_argument(
          fmt::format("split: expected REC_TRAIN, REC_VALID or REC_TEST, given {}", split));
  }
}

std::vector<Split> splits_of(uint32_t bits) {
  std::vector<Split> all;
  for (; bits != 0; bits &= bits - 1) all.push_back(split_of(bits & -bits));
  return all;
}

}  // namespace rec::c_api

using namespace rec;
using namespace rec::c_api;

rec_status rec_dataset_load(const char* folder, const char* language, rec_dataset** dataset) {
  return call([&] {
    rec_dataset*& made = place(dataset, "dataset");
    DatasetOptions options;
    options.language = text_or(language, "");
    made = enlist(std::make_shared<DatasetObject>(
        std::make_shared<Dataset>(load_dataset(text(folder, "folder"), options))));
  });
}

rec_status rec_dataset_from_arrays(const rec_arrays* arrays, rec_dataset** dataset) {
  return call([&] {
    rec_dataset*& made = place(dataset, "dataset");
    made = enlist(std::make_shared<DatasetObject>(
        std::make_shared<Dataset>(dataset_of(arrays_of(given(arrays, "arrays"))))));
  });
}

rec_status rec_dataset_free(rec_dataset* dataset) {
  return call([&] { free_handle<DatasetObject>(dataset); });
}

rec_status rec_dataset_size(const rec_dataset* dataset, int64_t* users, int64_t* items,
                            int64_t* language_width) {
  return call([&] {
    const auto object = get<DatasetObject>(dataset);
    const Dataset& data = object->data();
    if (users != nullptr) *users = data.users;
    if (items != nullptr) *items = data.items;
    if (language_width != nullptr) *language_width = data.language.width();
  });
}

rec_status rec_dataset_split(const rec_dataset* dataset, rec_split split, rec_csr* interactions) {
  return call([&] {
    const auto object = get<DatasetObject>(dataset);
    const HostCsr& of = object->data().split(split_of(split));
    given(interactions, "interactions") = {of.rows, of.cols, of.entries(), of.row_start.data(),
                                           of.col.data()};
  });
}

rec_status rec_dataset_language(const rec_dataset* dataset, rec_matrix* vectors) {
  return call([&] {
    const auto object = get<DatasetObject>(dataset);
    const MatrixView<const float> z = object->data().language.view();
    given(vectors, "vectors") = {z.data, z.rows, z.cols, z.stride};
  });
}

rec_status rec_dataset_name(const rec_dataset* dataset, rec_name which, int64_t number, char* name,
                            int64_t capacity, int64_t* length) {
  return call(
      [&] { give_text(get<DatasetObject>(dataset)->name(which, number), name, capacity, length); });
}

rec_status rec_dataset_find(const rec_dataset* dataset, rec_name which, const char* id,
                            int32_t* number) {
  return call([&] {
    const auto object = get<DatasetObject>(dataset);
    int32_t& to = given(number, "number");
    const std::string wanted = text(id, "id");
    const std::optional<int32_t> found = object->find(which, wanted);
    if (!found)
      throw NotFound(fmt::format("there is no {} '{}' in {}",
                                 which == REC_USER_ID ? "user" : "item", wanted,
                                 object->data().name));
    to = *found;
  });
}
