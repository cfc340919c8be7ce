#include "host/dataset/dataset.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/formats/file_error.h"
#include "host/formats/interactions.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

struct Layout {
  fs::path splits;
  fs::path language;  // empty: none
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// item_info/item_cf_embeds_NAME_array.npy -> NAME
std::vector<std::pair<std::string, fs::path>> release_vectors(const fs::path& folder) {
  constexpr std::string_view kPrefix = "item_cf_embeds_", kSuffix = ".npy", kTail = "_array";
  std::vector<std::pair<std::string, fs::path>> found;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::string name = entry.path().filename().string();
      if (name.rfind(kPrefix, 0) != 0 || name.size() < kPrefix.size() + kSuffix.size() ||
          name.substr(name.size() - kSuffix.size()) != kSuffix)
        continue;
      name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
      if (name.size() > kTail.size() && name.substr(name.size() - kTail.size()) == kTail)
        name.resize(name.size() - kTail.size());
      found.push_back({name, entry.path()});
    }
  std::sort(found.begin(), found.end());
  return found;
}

Layout find_layout(const std::string& path, const DatasetOptions& options) {
  const fs::path root(path);
  std::error_code ignored;
  if (!fs::exists(root, ignored)) throw FileError(path, "there is no such dataset folder; check the path");
  if (!fs::is_directory(root, ignored)) throw FileError(path, "is a file; a dataset folder is expected");
  if (!fs::is_directory(root / "cf_data", ignored)) {
    const fs::path vectors = root / "item_language.npy";
    if (!options.language.empty())
      throw FileError(path, "--language chooses among the item_cf_embeds_* files of the authors' tree; "
                            "this dataset folder has item_language.npy only");
    return {root, fs::exists(vectors, ignored) ? vectors : fs::path()};
  }
  const auto vectors = release_vectors(root / "item_info");
  std::vector<std::string> names;
  for (const auto& [name, file] : vectors) {
    if (name == options.language) return {root / "cf_data", file};
    names.push_back(name);
  }
  if (!options.language.empty())
    throw FileError(path, "has no language vectors named '" + options.language + "'; there are: " + join(names));
  if (vectors.size() > 1)
    throw FileError(path, "has several language vectors; choose with --language one of: " + join(names));
  return {root / "cf_data", vectors.empty() ? fs::path() : vectors[0].second};
}

LanguageModel read_language_model(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  const auto json = nlohmann::json::parse(MappedFile(path.string()).bytes(), nullptr, false);
  if (!json.is_object()) throw FileError(path.string(), "is not a JSON object");
  const auto text = [&](const char* key) {
    const auto at = json.find(key);
    if (at == json.end()) return std::string();
    if (!at->is_string()) throw FileError(path.string(), std::string("'") + key + "' must be a string");
    return at->get<std::string>();
  };
  return {text("model"), text("basis")};
}

// Grows a split to the dataset's size: more users without items, more columns.
void widen(HostCsr& split, int64_t users, int64_t items) {
  split.row_start.resize(static_cast<size_t>(users) + 1, split.row_start.back());
  split.rows = users;
  split.cols = items;
}

void refuse_overlap(const Dataset& data, const HostCsr& a, const char* a_name, const HostCsr& b,
                    const char* b_name) {
  for (int64_t u = 0; u < data.users; ++u) {
    const int32_t* seen = a.view().row(u);
    for (int64_t e = b.row_start[size_t(u)]; e < b.row_start[size_t(u) + 1]; ++e) {
      const int32_t item = b.col[size_t(e)];
      if (std::binary_search(seen, seen + a.view().degree(u), item))
        throw FileError(data.path, "user " + std::to_string(u) + " has item " + std::to_string(item) +
                                       " in both " + a_name + " and " + b_name +
                                       "; an interaction belongs to one split");
    }
  }
}

std::string fingerprint_of(const Dataset& data) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  const auto add = [&](const auto& values) {
    XXH3_64bits_update(state, values.data(), values.size() * sizeof(values[0]));
  };
  for (const HostCsr* split : {&data.train, &data.valid, &data.test}) {
    add(split->row_start);
    add(split->col);
  }
  const MatrixView<const float> z = data.language.view();
  XXH3_64bits_update(state, z.data, size_t(z.rows * z.cols) * sizeof(float));
  const uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace

LanguageMatrix::LanguageMatrix(const std::string& path) : file_(path) {
  const std::vector<int64_t>& shape = file_->header().shape;
  if (shape.size() != 2)
    throw FileError(path, "has " + std::to_string(shape.size()) +
                              " dimensions; language vectors are a matrix [items, width]");
  rows_ = shape[0];
  width_ = shape[1];
  if (rows_ == 0 || width_ == 0) throw FileError(path, "holds no vectors");
  if (file_->float32_in_place() == nullptr) converted_ = file_->as_float32();
  const MatrixView<const float> z = view();
  for (int64_t r = 0; r < rows_; ++r) {
    bool finite = true, zero = true;
    for (int64_t c = 0; c < width_; ++c) {
      finite &= std::isfinite(z(r, c));
      zero &= z(r, c) == 0.0f;
    }
    const std::string row = "row " + std::to_string(r) + " (item " + std::to_string(r) + ") ";
    if (!finite) throw FileError(path, row + "holds a value that is not finite; embed that title again");
    if (zero) throw FileError(path, row + "is all zero; an empty title has no direction: give it a text");
  }
}

MatrixView<const float> LanguageMatrix::view() const {
  if (!file_) return {};
  return {converted_.empty() ? file_->float32_in_place() : converted_.data(), rows_, width_};
}

const HostCsr& Dataset::split(Split which) const {
  return which == Split::train ? train : which == Split::valid ? valid : test;
}

std::string Dataset::user_name(int64_t user) const {
  return user_table.size() > 0 ? user_table.original_id[size_t(user)] : std::to_string(user);
}
std::string Dataset::item_name(int64_t item) const {
  return item_table.size() > 0 ? item_table.original_id[size_t(item)] : std::to_string(item);
}
std::string Dataset::item_title(int64_t item) const {
  return item_table.size() > 0 ? item_table.title[size_t(item)] : std::string();
}

Dataset load_dataset(const std::string& path, const DatasetOptions& options) {
  const Layout layout = find_layout(path, options);
  Dataset data;
  data.path = path;
  fs::path folder = fs::path(path).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  data.name = folder.filename().string();

  std::error_code ignored;
  const auto optional_file = [&](const fs::path& file) {
    return fs::exists(file, ignored) ? file.string() : std::string();
  };
  const auto read_split = [&](const char* name, bool needed) {
    const fs::path file = layout.splits / name;
    if (!needed && !fs::exists(file, ignored)) return Interactions();
    return read_interactions(file.string());
  };
  Interactions train = read_split("train.txt", true);
  Interactions valid = read_split("valid.txt", false);
  Interactions test = read_split("test.txt", false);
  const fs::path train_file = layout.splits / "train.txt";
  if (train.items_of_user.entries() == 0)
    throw FileError(train_file.string(), "holds no interactions; a line is 'user item item ...'");

  if (!layout.language.empty()) {
    data.language = LanguageMatrix(layout.language.string());
    data.language_model = read_language_model(fs::path(layout.language).replace_extension(".json"));
  }
  if (const std::string file = optional_file(fs::path(path) / "items.tsv"); !file.empty())
    data.item_table = read_id_table(file);
  if (const std::string file = optional_file(fs::path(path) / "users.tsv"); !file.empty())
    data.user_table = read_id_table(file);
  data.config_path = optional_file(fs::path(path) / "config.toml");

  for (const Interactions* split : {&train, &valid, &test}) {
    data.users = std::max(data.users, split->items_of_user.rows);
    data.items = std::max(data.items, split->items_of_user.cols);
    data.duplicates += split->duplicates;
  }
  if (data.has_language()) {
    if (data.items > data.language.rows())
      throw FileError(layout.language.string(),
                      "has " + std::to_string(data.language.rows()) + " rows, but the splits name item " +
                          std::to_string(data.items - 1) + "; one row per item is needed");
    data.items = data.language.rows();
  }
  if (data.item_table.size() > 0) {
    if (data.item_table.size() < data.items)
      throw FileError(path + "/items.tsv", "names " + std::to_string(data.item_table.size()) +
                                               " items, but there are " + std::to_string(data.items));
    if (data.has_language() && data.item_table.size() > data.items)
      throw FileError(path + "/items.tsv", "names " + std::to_string(data.item_table.size()) +
                                               " items, but the language vectors have " +
                                               std::to_string(data.items) + " rows");
    data.items = data.item_table.size();
  }
  if (data.user_table.size() > 0 && data.user_table.size() != data.users)
    throw FileError(path + "/users.tsv", "names " + std::to_string(data.user_table.size()) +
                                             " users, but the splits have " + std::to_string(data.users));
  for (int64_t u = 0; u < data.users; ++u) {
    const auto listed = [u](const Interactions& split) {
      return u < split.items_of_user.rows && split.listed[size_t(u)];
    };
    if (!listed(train) && !listed(valid) && !listed(test))
      throw FileError(path, "user " + std::to_string(u) +
                                " stands in no split although larger ids do; ids must leave no gap");
  }
  data.train = std::move(train.items_of_user);
  data.valid = std::move(valid.items_of_user);
  data.test = std::move(test.items_of_user);
  for (HostCsr* split : {&data.train, &data.valid, &data.test}) widen(*split, data.users, data.items);

  for (int64_t u = 0; u < data.users; ++u)
    if (data.train.view().degree(u) >= data.items)
      throw FileError(train_file.string(), "user " + std::to_string(u) + " owns all " +
                                               std::to_string(data.items) +
                                               " items, so no negative can be drawn; leave this user out");
  refuse_overlap(data, data.train, "train.txt", data.valid, "valid.txt");
  refuse_overlap(data, data.train, "train.txt", data.test, "test.txt");
  refuse_overlap(data, data.valid, "valid.txt", data.test, "test.txt");
  data.fingerprint = fingerprint_of(data);
  return data;
}

}  // namespace rec
