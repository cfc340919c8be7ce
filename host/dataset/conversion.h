// A dataset in files of other programs, with the users' and items' own ids, or their numbers where
// there is no table. Titles go along where there is a table of items.
//
//   recbole   NAME.train.inter, NAME.valid.inter, NAME.test.inter; NAME.item
//   lightgcn  train.txt, valid.txt where it would not be empty, test.txt; user_list.txt,
//             item_list.txt; items.csv
//   csv       interactions.csv (user_id, item_id, split); items.csv (item_id, title)
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

enum class OtherFormat { recbole, lightgcn, csv };

// Writes the files of `format` into a folder that appears whole or not at all, and only where
// require_free_folder() (unfinished_folder.h) lets it. name: NAME of recbole. told(interactions
// written) comes now and then. Throws FileError for ids that the format cannot hold: a carriage
// return in any of them, a blank of any alphabet in lightgcn, a quote at the beginning in recbole, and
// there what pandas takes for a missing value, such as NA.
// Returns the files' names.
std::vector<std::string> convert_dataset(const Dataset& data, OtherFormat format,
                                         const std::string& name, const std::string& folder,
                                         const std::function<void(int64_t)>& told);

}  // namespace rec
