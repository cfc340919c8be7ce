// The external ids a person types, and the dataset's own.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

// "a,b,c" -> its parts; empty parts are refused.
std::vector<std::string> split_list(const std::string& text, const std::string& option);

// Original ids where the dataset has a table, else numbers.
// Throws std::invalid_argument naming the id.
std::vector<int32_t> items_named(const Dataset& data, const std::vector<std::string>& names);
std::vector<int32_t> users_named(const Dataset& data, const std::vector<std::string>& names);

// One id a line.
std::vector<std::string> read_names(const std::string& file);
// A list a line, ids between tabs; lines without any are passed over.
std::vector<std::vector<std::string>> read_name_lists(const std::string& file);

// allowed[item]: those in only_file (or all when ""),
// without those in exclude_file. Empty when neither is given.
std::vector<uint8_t> allowed_items(const Dataset& data, const std::string& only_file,
                                   const std::string& exclude_file);

}  // namespace rec
