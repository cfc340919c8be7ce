// The dataset behind a handle.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "host/c_api/handles.h"
#include "host/c_api/rec.h"
#include "host/dataset/dataset.h"
#include "host/dataset/id_numbers.h"

namespace rec::c_api {

class DatasetObject final : public Object {
 public:
  using Handle = rec_dataset;
  static constexpr const char* kKind = "dataset";

  explicit DatasetObject(std::shared_ptr<const Dataset> data) : data_(std::move(data)) {}
  const char* kind() const override { return kKind; }
  const Dataset& data() const { return *data_; }

  // which: REC_USER_ID, REC_ITEM_ID or, of names alone, REC_ITEM_TITLE. Throw std::invalid_argument for another, and for
  // a number that nobody has.
  std::string name(rec_name which, int64_t number) const;
  std::optional<int32_t> find(rec_name which, const std::string& id);

 private:
  std::shared_ptr<const Dataset> data_;
  std::once_flag users_once_, items_once_;
  std::optional<IdNumbers> users_, items_;  // made when they are first asked for
};

}  // namespace rec::c_api
