#include "host/dataset/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "host/dataset/dataset_parts.h"
#include "host/formats/file_error.h"
#include "host/formats/interactions.h"
#include "host/formats/item_texts.h"
#include "host/formats/mapped_file.h"
#include "host/formats/npy.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

struct Layout {
  fs::path splits;
  fs::path language;  // empty: none
  std::vector<fs::path>
      described;  // where the language model may be described, the first there counts
  std::string language_name = "";  // of the authors' file: which model it is, where nothing says so
};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// A link that leads nowhere counts as there:
// reading it says what is wrong, leaving it away would not.
bool is_present(const fs::path& file) {
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(file, failed);
  return status.type() != fs::file_type::not_found;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

struct NamedVectors {
  std::string name;
  fs::path file;
};

// item_info/item_cf_embeds_NAME_array.npy of the authors' tree, by name. Their code calls the file
// without a name (item_cf_embeds_array.npy) v2.
std::vector<NamedVectors> release_vectors(const fs::path& folder) {
  constexpr std::string_view kPrefix = "item_cf_embeds_", kSuffix = ".npy", kTail = "_array";
  std::vector<NamedVectors> found;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (file.rfind(kPrefix, 0) != 0 || !ends_with(file, kSuffix)) continue;
    std::string name = file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size());
    if (ends_with(name, kTail)) name.resize(name.size() - kTail.size());
    found.push_back({name == "array" ? "v2" : name, entry.path()});
  }
  std::sort(found.begin(), found.end(),
            [](const NamedVectors& a, const NamedVectors& b) { return a.name < b.name; });
  return found;
}

// What the authors' option --lm_model calls a file that carries another name.
std::string release_name(const std::string& asked) {
  static const std::map<std::string, std::string> names = {
      {"v3", "large3"},
      {"v3_shuffle", "large3_array_shuffle"},
      {"llama3_7b", "llama3_7b_instruct"},
      {"mistral_7b", "Norm_Mistral-7B-v0.1"},
      {"SFR", "Norm_SFR-Embedding-Mistral_7b"},
      {"GritLM_7b", "Norm_GritLM-7B"},
      {"e5_7b", "Norm_e5-mistral-7b-instruct"},
      {"echo_7b", "Norm_echo-mistral-7b-instruct-lasttoken"}};
  const auto at = names.find(asked);
  return at == names.end() ? asked : at->second;
}

Layout find_layout(const std::string& path, const DatasetOptions& options) {
  const fs::path root(path);
  std::error_code ignored;
  if (!fs::exists(root, ignored))
    throw FileError(path, "there is no such dataset folder; check the path");
  if (!fs::is_directory(root, ignored))
    throw FileError(path, "is a file; a dataset folder is expected");
  if (!fs::is_directory(root / "cf_data", ignored)) {
    const fs::path vectors = root / "item_language.npy";
    if (!options.language.empty())
      throw FileError(path,
                      "has item_language.npy only; language vectors to choose among are the "
                      "item_cf_embeds_* files of the authors' tree",
                      Remedy::leave_language_out);
    return {root, is_present(vectors) ? vectors : fs::path(), {root / "item_language.json"}};
  }
  const std::vector<NamedVectors> vectors = release_vectors(root / "item_info");
  std::vector<std::string> names;
  for (const NamedVectors& v : vectors) names.push_back(v.name);
  const auto layout_with = [&](const NamedVectors& v) -> Layout {
    return {root / "cf_data",
            v.file,
            {fs::path(v.file).replace_extension(".json"), root / "item_info/item_language.json"},
            v.name};
  };
  if (!options.language.empty()) {
    for (const std::string& wanted : {options.language, release_name(options.language)})
      for (const NamedVectors& v : vectors)
        if (v.name == wanted) return layout_with(v);
    throw FileError(path, "has no language vectors named '" + options.language +
                              (names.empty() ? "' (no item_info/item_cf_embeds_*_array.npy)"
                                             : "'; there are: " + join(names)));
  }
  if (vectors.size() > 1 && !options.any_language)
    throw FileError(path, "has several language vectors: " + join(names), Remedy::choose_language);
  if (vectors.empty()) return {root / "cf_data", {}, {}};
  Layout layout = layout_with(vectors[0]);
  if (vectors.size() > 1) layout.described.clear();  // it may be another's
  return layout;
}

// What item_language.json says of the dataset's vectors.
void read_description(const Layout& layout, Dataset& data) {
  const auto found = std::find_if(layout.described.begin(), layout.described.end(), is_present);
  if (found == layout.described.end()) {
    data.language_model.model = layout.language_name;
    return;
  }
  const fs::path& path = *found;
  const int64_t width = data.language.width();
  const MappedFile file(path.string());
  const auto json = nlohmann::json::parse(file.bytes(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw FileError(path.string(), "is not a JSON object");
  const auto text = [&](const char* key) {
    const auto at = json.find(key);
    if (at == json.end()) return std::string();
    if (!at->is_string())
      throw FileError(path.string(), std::string("'") + key + "' must be a string");
    return at->get<std::string>();
  };
  if (const auto at = json.find("width"); at != json.end() && *at != width)
    throw FileError(path.string(), "says width " + at->dump() + ", but the vectors are " +
                                       std::to_string(width) + " wide; it describes another file");
  data.language_model = {text("model"), text("basis")};
  data.embedded_texts.checksum = text("texts");
  if (const auto at = json.find("text_columns"); at != json.end()) {
    const auto is_text = [](const nlohmann::json& column) { return column.is_string(); };
    if (!at->is_array() || at->empty() || !std::all_of(at->begin(), at->end(), is_text))
      throw FileError(path.string(), "'text_columns' must be a list of names");
    data.embedded_texts.columns = at->get<std::vector<std::string>>();
  }
}

}  // namespace

bool differ(const LanguageModel& a, const LanguageModel& b) {
  const auto known_and_differ = [](const std::string& x, const std::string& y) {
    return !x.empty() && !y.empty() && x != y;
  };
  return known_and_differ(a.model, b.model) || known_and_differ(a.basis, b.basis);
}

std::string described(const LanguageModel& model) {
  return "'" + model.model + "'" + (model.basis.empty() ? "" : " (basis " + model.basis + ")");
}

LanguageMatrix::LanguageMatrix(const std::string& path) {
  const auto file = std::make_shared<const NpyFile>(path);
  const std::vector<int64_t>& shape = file->header().shape;
  if (shape.size() != 2)
    throw FileError(path, "has " + std::to_string(shape.size()) +
                              " dimensions; language vectors are a matrix [items, width]");
  if (shape[0] == 0 || shape[1] == 0) throw FileError(path, "holds no vectors");
  if (file->float32_in_place() != nullptr)
    hold({file, file->float32_in_place()}, shape[0], shape[1]);
  else
    hold(file->as_float32(), shape[0], shape[1]);
  require_directions(view(), path);
}

LanguageMatrix::LanguageMatrix(std::shared_ptr<const float> values, int64_t rows, int64_t width,
                               const std::string& name) {
  if (rows <= 0 || width <= 0 || values == nullptr) throw FileError(name, "holds no vectors");
  hold(std::move(values), rows, width);
  require_directions(view(), name);
}

LanguageMatrix::LanguageMatrix(const std::vector<const LanguageMatrix*>& parts) {
  std::vector<float> all;
  int64_t rows = 0, width = 0;
  for (const LanguageMatrix* part : parts) {
    const MatrixView<const float> z = part->view();
    all.insert(all.end(), z.data, z.data + z.rows * z.cols);
    rows += z.rows;
    width = z.cols;
  }
  hold(std::move(all), rows, width);
}

void LanguageMatrix::hold(std::shared_ptr<const float> values, int64_t rows, int64_t width) {
  values_ = std::move(values);
  rows_ = rows;
  width_ = width;
}

void LanguageMatrix::hold(std::vector<float> values, int64_t rows, int64_t width) {
  const auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  hold({owner, owner->data()}, rows, width);
}

void LanguageMatrix::append(const LanguageMatrix& more) {
  *this = LanguageMatrix(std::vector<const LanguageMatrix*>{this, &more});
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

std::string text_difference(const Dataset& data) {
  const EmbeddedTexts& made_of = data.embedded_texts;
  const std::string table = data.path + "/items.tsv";
  if (made_of.columns.empty() || made_of.checksum.empty() || !is_present(table)) return "";
  try {
    if (checksum_of_texts(read_item_texts(table, made_of.columns).text) == made_of.checksum)
      return "";
  } catch (const NoSuchColumn&) {
    return fmt::format("lacks columns that the language vectors were made of ({})",
                       fmt::join(made_of.columns, ", "));
  }
  return "has other texts than those that the language vectors were made of";
}

void append_items(Dataset& data, const std::string& table, const std::string& vectors) {
  const IdTable added = read_id_table(table, data.items);
  const LanguageMatrix language(vectors);
  if (language.rows() != added.size())
    throw FileError(vectors, "has " + std::to_string(language.rows()) + " rows, but " + table +
                                 " names " + std::to_string(added.size()) +
                                 " items; one row per item is needed");
  if (language.width() != data.language.width())
    throw FileError(vectors, "is " + std::to_string(language.width()) +
                                 " wide, but the dataset's language vectors are " +
                                 std::to_string(data.language.width()) +
                                 " wide; embed the titles with the same model");
  IdTable& items = data.item_table;
  for (int64_t i = items.size(); i < data.items; ++i) {  // there is no table: items go by numbers
    items.original_id.push_back(std::to_string(i));
    items.title.emplace_back();
  }
  const std::set<std::string_view> taken(items.original_id.begin(), items.original_id.end());
  for (const std::string& id : added.original_id)
    if (taken.count(id) > 0)
      throw FileError(table, "original id '" + id + "' is an item of " + data.name +
                                 " already; a new item needs one of its own");
  items.original_id.insert(items.original_id.end(), added.original_id.begin(),
                           added.original_id.end());
  items.title.insert(items.title.end(), added.title.begin(), added.title.end());
  data.language.append(language);
  data.items += added.size();
  for (HostCsr* split : {&data.train, &data.valid, &data.test})
    widen(*split, data.users, data.items);
}

void refuse_dataset_folder(const std::string& folder) {
  for (const char* part : {"train.txt", "cf_data"})
    if (is_there(folder + "/" + part))
      throw FileError(
          folder,
          std::string("holds a dataset (") + part + "), whose files would be mixed with others",
          Remedy::another_folder);
}

Dataset load_dataset(const std::string& path, const DatasetOptions& options) {
  const Layout layout = find_layout(path, options);
  Dataset data;
  data.path = path;
  fs::path folder = fs::absolute(path).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  data.name = folder.filename().string();

  const auto optional_file = [&](const fs::path& file) {
    return is_present(file) ? file.string() : std::string();
  };
  const auto read_split = [&](const char* name, bool needed, Repeats repeats = Repeats::once) {
    const fs::path file = layout.splits / name;
    return needed || is_present(file) ? read_interactions(file.string(), repeats) : Interactions();
  };
  Interactions train = read_split("train.txt", true, options.repeats);
  Interactions valid = read_split("valid.txt", false);
  Interactions test = read_split("test.txt", false);
  const fs::path train_file = layout.splits / "train.txt";
  if (train.items_of_user.entries() == 0)
    throw FileError(train_file.string(), "holds no interactions; a line is 'user item item ...'");
  if (!layout.language.empty()) {
    data.language = LanguageMatrix(layout.language.string());
    read_description(layout, data);
  }
  if (const std::string file = optional_file(fs::path(path) / "items.tsv"); !file.empty())
    data.item_table = read_id_table(file);
  if (const std::string file = optional_file(fs::path(path) / "users.tsv"); !file.empty())
    data.user_table = read_id_table(file);
  data.config_path = optional_file(fs::path(path) / "config.toml");

  complete(data, {std::move(train), std::move(valid), std::move(test)},
           {path, train_file.string(), (layout.splits / "valid.txt").string(),
            (layout.splits / "test.txt").string(), layout.language.string(), path + "/items.tsv",
            path + "/users.tsv"},
           options);
  return data;
}

}  // namespace rec
