#include "host/dataset/cold_split.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "engine/draw_kinds.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "kernels/sampler/philox.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

const char* name_of(Cold cold) { return cold == Cold::items ? "items" : "users"; }

// is_chosen [items or users]; found: how many, among how many.
std::vector<uint8_t> choose(const Dataset& data, Cold cold, double share, uint64_t seed,
                            ColdSplit& found) {
  std::vector<int64_t> degree(size_t(cold == Cold::items ? data.items : data.users), 0);
  for (int64_t u = 0; u < data.users; ++u)
    for (int64_t e = data.train.row_start[size_t(u)]; e < data.train.row_start[size_t(u) + 1]; ++e)
      ++degree[size_t(cold == Cold::items ? int64_t(data.train.col[size_t(e)]) : u)];
  struct Draw {
    uint64_t value;
    uint32_t id;
    auto operator<=>(const Draw&) const = default;
  };
  std::vector<Draw> draws;
  for (uint32_t id = 0; id < degree.size(); ++id) {
    if (degree[id] == 0) continue;
    const auto words = philox(id, uint32_t(cold), 0, uint32_t(DrawKind::cold_split), uint32_t(seed),
                              uint32_t(seed >> 32));
    draws.push_back({uint64_t(words.word[0]) << 32 | words.word[1], id});
  }
  found.among = int64_t(draws.size());
  found.chosen = std::llround(share * double(draws.size()));
  const std::string what = fmt::format("--share {} of {} {} with training interactions", share,
                                       found.among, name_of(cold));
  if (found.chosen < 1) throw std::invalid_argument(what + " chooses none; give a larger one");
  if (found.chosen >= found.among)
    throw std::invalid_argument(what + " leaves nothing to train on; give a smaller one");
  std::sort(draws.begin(), draws.end());
  std::vector<uint8_t> is_chosen(degree.size(), 0);
  for (int64_t n = 0; n < found.chosen; ++n) is_chosen[draws[size_t(n)].id] = 1;
  return is_chosen;
}

std::vector<int32_t> row_of(CsrView m, int64_t r) { return {m.row(r), m.row(r) + m.degree(r)}; }

// "user item item ..." a line. empty_too: also users without items.
std::string split_text(CsrView split, bool empty_too) {
  std::string text;
  for (int64_t u = 0; u < split.rows; ++u) {
    if (split.degree(u) == 0 && !empty_too) continue;
    text += std::to_string(u);
    for (int32_t item : row_of(split, u)) text += " " + std::to_string(item);
    text += "\n";
  }
  return text;
}

void write_table(const std::string& file, const char* what, const IdTable& table) {
  if (table.size() == 0) return;
  std::string text = fmt::format("{}\toriginal_id\ttitle\n", what);
  for (int64_t i = 0; i < table.size(); ++i)
    text += fmt::format("{}\t{}\t{}\n", i, table.original_id[size_t(i)], table.title[size_t(i)]);
  write_whole_file(file, text);
}

void write_files(const std::string& folder, const Dataset& data, const ColdSplit& splits) {
  // Every user has a line in train.txt, so that none is missing from all splits.
  write_whole_file(folder + "/train.txt", split_text(splits.train.view(), /*empty_too=*/true));
  write_whole_file(folder + "/valid.txt", split_text(splits.valid.view(), /*empty_too=*/false));
  write_whole_file(folder + "/test.txt", split_text(splits.test.view(), /*empty_too=*/false));
  write_table(folder + "/items.tsv", "item", data.item_table);
  write_table(folder + "/users.tsv", "user", data.user_table);
  if (data.has_language()) {
    write_npy(folder + "/item_language.npy", data.language.view());
    nlohmann::ordered_json json = {{"width", data.language.width()}};
    if (!data.language_model.model.empty()) json["model"] = data.language_model.model;
    if (!data.language_model.basis.empty()) json["basis"] = data.language_model.basis;
    write_whole_file(folder + "/item_language.json", json.dump(2) + "\n");
  }
  if (!data.config_path.empty())
    write_whole_file(folder + "/config.toml", MappedFile(data.config_path).bytes());
}

// A folder beside its place while it is written.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const std::string& place)
      : place_(place), path_(place + ".part" + std::to_string(::getpid())) {
    make_folder(path_);
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const std::string& path() const { return path_; }
  void commit() {
    std::error_code failed;
    fs::rename(path_, place_, failed);  // an empty folder gives way
    if (failed) throw FileError(place_, "cannot be put in its place (" + failed.message() + ")");
    path_.clear();
  }

 private:
  std::string place_, path_;
};

}  // namespace

ColdSplit cold_split(const Dataset& data, Cold cold, double share, uint64_t seed) {
  ColdSplit split;
  const std::vector<uint8_t> is_chosen = choose(data, cold, share, seed, split);
  split.train.cols = split.valid.cols = split.test.cols = data.items;
  for (int64_t u = 0; u < data.users; ++u) {
    std::vector<int32_t> train = row_of(data.train.view(), u), valid = row_of(data.valid.view(), u),
                         test = row_of(data.test.view(), u);
    const auto move = [&](std::vector<int32_t>& from, std::vector<int32_t>& to, auto goes) {
      const auto first = std::stable_partition(from.begin(), from.end(),
                                               [&](int32_t item) { return !goes(item); });
      split.moved += from.end() - first;
      to.insert(to.end(), first, from.end());
      from.erase(first, from.end());
      std::sort(to.begin(), to.end());
    };
    if (cold == Cold::items) {
      const auto goes = [&](int32_t item) { return is_chosen[size_t(item)] == 1; };
      move(train, test, goes);
      move(valid, test, goes);
    } else if (is_chosen[size_t(u)] == 1) {
      move(train, valid, [](int32_t) { return true; });
    }
    add_row(split.train, train);
    add_row(split.valid, valid);
    add_row(split.test, test);
  }
  if (split.train.entries() == 0)
    throw std::invalid_argument(
        fmt::format("--share {}: no interaction is left to train on; give a smaller one", share));
  return split;
}

void write_dataset(const std::string& folder, const Dataset& data, const ColdSplit& splits) {
  fs::path place = fs::path(folder).lexically_normal();
  if (place.filename().empty()) place = place.parent_path();  // a slash at the end
  std::error_code ignored;
  if (is_there(place.string()) &&
      !(fs::is_directory(place, ignored) && fs::is_empty(place, ignored)))
    throw FileError(folder, "is there already and not empty; choose another folder with --out");
  UnfinishedFolder unfinished(place.string());
  write_files(unfinished.path(), data, splits);
  unfinished.commit();
}

}  // namespace rec
