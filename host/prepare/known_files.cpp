#include "host/prepare/known_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "host/prepare/byte_source.h"

namespace rec {

const Dialect kTab{"\t", false}, kColons{"::", false, false, true}, kBooks{";", true, true, true};

namespace {

const Dialect kComma{}, kBars{"|", false, false, true};
const std::array<KnownFile, 4> kInteractionFiles = {{
    {"ratings.csv", "movielens", kComma, true},
    {"ratings.dat", "movielens", kColons, false},
    {"u.data", "movielens", kTab, false},
    {"BX-Book-Ratings.csv", "book-crossing", kBooks, true},
}};
const std::array<KnownItems, 5> kItemFiles = {{
    {"ratings.csv", "movies.csv", kComma, true},
    {"ratings.dat", "movies.dat", kColons, false},
    {"u.data", "u.item", kBars, false},
    {"BX-Book-Ratings.csv", "BX-Books.csv", kBooks, true},
    {"BX-Book-Ratings.csv", "BX_Books.csv", kBooks, true},
}};

// ".train.inter"
std::string end_of(size_t split) {
  return fmt::format(".{}{}", kSplitNames[split], kAtomicInteractions);
}

template <class Files>
auto file_named(const Files& files, std::string_view name) {
  const auto known =
      std::find_if(files.begin(), files.end(), [&](const auto& each) { return each.name == name; });
  return known == files.end() ? nullptr : &*known;
}

}  // namespace

const KnownFile* known_interactions(std::string_view name) {
  return file_named(kInteractionFiles, name);
}
const KnownItems* known_items(std::string_view name) { return file_named(kItemFiles, name); }

bool belong_together(std::string_view interactions, std::string_view items) {
  for (const KnownItems& each : kItemFiles)
    if (each.beside == interactions && each.name == items) return true;
  if (is_recbole(interactions))
    return items == recbole_stem(interactions) + std::string(kAtomicItems);
  return (interactions == kCsvInteractions || interactions == kSplitFiles[0]) && items == kCsvItems;
}

bool is_recbole(std::string_view name) { return name.ends_with(kAtomicInteractions); }

std::optional<Split> recbole_split(std::string_view name) {
  for (size_t split = 0; split < kSplitNames.size(); ++split)
    if (name.ends_with(end_of(split))) return Split(split);
  return std::nullopt;
}

std::string recbole_stem(std::string_view name) {
  if (const std::optional<Split> split = recbole_split(name))
    return std::string(name.substr(0, name.size() - end_of(size_t(*split)).size()));
  return std::string(name.substr(0, name.rfind('.')));
}

std::string plain_file_name(const std::string& path) {
  return without_compression_suffix(std::filesystem::path(path).filename().string());
}

}  // namespace rec
