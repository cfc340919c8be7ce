#include "host/library/memory_dataset.h"

#include "host/dataset/dataset_parts.h"
#include "host/formats/file_error.h"

namespace rec {

Dataset dataset_of(DatasetArrays arrays, const DatasetOptions& options) {
  const PartNames names{arrays.name,        "train",    "valid",   "test",
                        "language vectors", "item ids", "user ids"};
  SplitParts splits{interactions_of(arrays.train, names.train, options.repeats),
                    interactions_of(arrays.valid, names.valid),
                    interactions_of(arrays.test, names.test)};
  if (splits.train.items_of_user.entries() == 0)
    throw FileError(names.train, "holds no interactions");
  Dataset data;
  data.name = data.path = arrays.name;
  data.in_memory = true;
  if (arrays.language != nullptr)
    data.language = LanguageMatrix(std::move(arrays.language), arrays.language_items,
                                   arrays.language_width, names.language);
  data.language_model = std::move(arrays.language_model);
  data.item_table =
      id_table_of(std::move(arrays.item_ids), std::move(arrays.item_titles), names.items);
  data.user_table = id_table_of(std::move(arrays.user_ids), {}, names.users);
  complete(data, std::move(splits), names, options);
  return data;
}

}  // namespace rec
