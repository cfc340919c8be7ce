#include "host/prepare/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "host/config/nearest_name.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/prepare/object_line.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string_view>;

// What columns are called, in small letters and without a RecBole type. The first that is there counts.
const std::array<Names, kColumns> kColumnNames = {
    Names{"user_id", "userid", "user-id", "user", "uid", "reviewerid", "customer_id", "visitorid",
          "username"},
    Names{"item_id", "itemid", "item-id", "item", "iid", "movieid", "movie_id", "parent_asin",
          "asin", "product_id", "productid", "isbn", "business_id", "book_id", "id"},
    Names{"rating", "ratings", "overall", "stars", "score", "book-rating"},
    Names{"timestamp", "time", "unixreviewtime", "unix_timestamp", "date"}};
const Names kTitleNames = {"title",     "movie_title", "product_title", "book-title",
                           "item_name", "app_name",    "name"};
constexpr std::array<const char*, kColumns> kOptionNames = {"--user-col", "--item-col",
                                                            "--rating-col", "--time-col"};

// What a known file's columns are where it has no header.
struct KnownFile {
  std::string_view name;
  std::string_view format;
  Dialect dialect;
  bool has_header;
  std::array<int, kColumns> place;
};
const Dialect kComma{}, kTab{"\t", false}, kColons{"::", false, false, true},
    kBars{"|", false, false, true}, kBooks{";", true, true, true};
const std::vector<KnownFile> kInteractionFiles = {
    {"ratings.csv", "movielens", kComma, true, {-1, -1, -1, -1}},
    {"ratings.dat", "movielens", kColons, false, {0, 1, 2, 3}},
    {"u.data", "movielens", kTab, false, {0, 1, 2, 3}},
    {"BX-Book-Ratings.csv", "book-crossing", kBooks, true, {-1, -1, -1, -1}},
};
struct KnownItems {
  std::string_view beside;  // the interactions' file
  std::string_view name;
  Dialect dialect;
  bool has_header;
};
const std::vector<KnownItems> kItemFiles = {
    {"ratings.csv", "movies.csv", kComma, true},
    {"ratings.dat", "movies.dat", kColons, false},
    {"u.data", "u.item", kBars, false},
    {"BX-Book-Ratings.csv", "BX-Books.csv", kBooks, true},
    {"BX-Book-Ratings.csv", "BX_Books.csv", kBooks, true},
};

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A column's name as kColumnNames has it: small letters, without ":token".
std::string plain_name(std::string_view name) {
  std::string plain(without_blanks(name.substr(0, name.find(':'))));
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](unsigned char c) { return char(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return plain;
}

// Of RecBole's files: "a.train.inter" is the part `train` of "a".
constexpr std::array<std::pair<std::string_view, Split>, 3> kSplitEnds = {
    {{".train.inter", Split::train}, {".valid.inter", Split::valid}, {".test.inter", Split::test}}};
std::optional<Split> split_of(const std::string& name) {
  for (const auto& [end, split] : kSplitEnds)
    if (ends_with(name, end)) return split;
  return std::nullopt;
}
std::string stem_of(const std::string& name) {
  for (const auto& [end, split] : kSplitEnds)
    if (ends_with(name, end)) return name.substr(0, name.size() - end.size());
  return name.substr(0, name.rfind('.'));
}

std::vector<std::string> first_record(const std::string& path, const Dialect& dialect) {
  RecordReader reader(path, dialect);
  if (!reader.next()) throw FileError(path, "is empty; it must hold interactions or items");
  return {reader.fields().begin(), reader.fields().end()};
}

// The first of the known names that a header has, or -1.
int known_column(const std::vector<std::string>& header, const Names& names) {
  for (const std::string_view name : names)
    for (size_t c = 0; c < header.size(); ++c)
      if (plain_name(header[c]) == name) return int(c);
  return -1;
}

std::string listed(const std::vector<std::string>& header) {
  return fmt::format("'{}'", fmt::join(header, "', '"));
}

// The column that an option names, or numbers from 1.
int chosen_column(const std::string& path, const std::vector<std::string>& header, bool has_header,
                  const std::string& wanted, const char* option) {
  int number = 0;
  const char* last = wanted.data() + wanted.size();
  const auto [rest, error] = std::from_chars(wanted.data(), last, number);
  const bool is_number = error == std::errc() && rest == last;
  if (has_header)
    for (size_t c = 0; c < header.size(); ++c)
      if (header[c] == wanted || plain_name(header[c]) == plain_name(wanted)) return int(c);
  if (is_number && number >= 1 && number <= int(header.size())) return number - 1;
  if (!has_header)
    throw FileError(path, 1,
                    fmt::format("has no header, so {} takes a number from 1 to {}, not '{}'",
                                option, header.size(), wanted));
  const std::string nearest = nearest_name(wanted, header);
  throw FileError(
      path, 1,
      fmt::format("has no column '{}' ({}); its columns are {}{}", wanted, option, listed(header),
                  nearest.empty() ? "" : fmt::format("; the nearest is '{}'", nearest)));
}

bool is_number(const std::string& text) {
  double value = 0;
  const char* last = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && rest == last;
}

std::string first_line(const std::string& path) {
  const Dialect whole_lines{"\n", false, false, true};  // Latin-1 refuses no byte
  return first_record(path, whole_lines)[0];
}

// Of an unknown file: by its name, else the one that its first line has most of.
std::string delimiter_of(const std::string& path) {
  if (ends_with(without_compression_suffix(path), ".tsv")) return "\t";
  const std::string line = first_line(path);
  std::string best = ",";
  const auto count = [&](const std::string& delimiter) {
    int64_t found = 0;
    for (size_t at = line.find(delimiter); at != std::string::npos;
         at = line.find(delimiter, at + delimiter.size()))
      ++found;
    return found;
  };
  for (const char* each : {"\t", ";", "|", " "})
    if (count(each) > count(best)) best = each;
  const int64_t colons = count("::");
  return colons > 0 && (colons > 1 || count(best) == 0) && colons >= count(best) ? "::" : best;
}

void apply(const SourceOptions& options, Dialect& dialect, bool& has_header) {
  if (!options.delimiter.empty()) {
    dialect.delimiter = options.delimiter == "\\t" ? "\t" : options.delimiter;
    if (dialect.delimiter == "::") dialect.quotes = false;
  }
  if (!options.encoding.empty()) dialect.latin1 = options.encoding == "latin1";
  if (options.header != 0) has_header = options.header > 0;
}

// The keys of a file of objects, in the order in which they come: those of its first lines, as not
// every object has them all.
std::vector<std::string> keys_of(const std::string& path, const Dialect& dialect) {
  constexpr int kLines = 1000;
  RecordReader reader(path, dialect);
  std::vector<std::string> keys;
  for (int line = 0; line < kLines && reader.next(); ++line)
    for (const std::string_view key : reader.fields())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.emplace_back(key);
  return keys;
}

// Whether the first line of a file that nothing is known of names columns.
bool names_columns(const std::vector<std::string>& first) {
  return known_column(first, kColumnNames[0]) >= 0 || known_column(first, kColumnNames[1]) >= 0;
}

// Finds the columns of a file whose dialect is known; first: its header, its keys or its first line.
void find_columns(InteractionFile& file, const std::vector<std::string>& first, bool is_named,
                  const SourceOptions& options) {
  for (size_t c = 0; c < kColumns; ++c) {
    if (!options.column[c].empty())
      file.place[c] = chosen_column(file.path, first, is_named, options.column[c], kOptionNames[c]);
    else if (is_named)
      file.place[c] = known_column(first, kColumnNames[c]);
  }
  for (const Column needed : {Column::user, Column::item})
    if (file.at(needed) < 0)
      throw FileError(
          file.path, 1,
          fmt::format("names no column of {}s that is known; name it with {}: the columns "
                      "are {}",
                      needed == Column::user ? "user" : "item", kOptionNames[size_t(needed)],
                      listed(first)));
  if (file.at(Column::user) == file.at(Column::item))
    throw FileError(
        file.path, 1,
        "users and items would be one column; name both with --user-col and --item-col");
}

// Of a file whose name says nothing, with the format that was asked for.
void guess_dialect(InteractionFile& file, const SourceOptions& options) {
  const std::string delimiter = delimiter_of(file.path);
  file.dialect = options.format == "recbole"         ? kTab
                 : options.format == "book-crossing" ? kBooks
                 : delimiter == "::"                 ? kColons
                                                     : Dialect{delimiter};
  if (options.format == "movielens" && delimiter != ",") {
    file.dialect = delimiter == "::" ? kColons : kTab;
    file.has_header = false;
  }
  apply(options, file.dialect, file.has_header);
  if (options.format == "recbole" || options.format == "book-crossing" || options.header != 0)
    return;
  const std::vector<std::string> first = first_record(file.path, file.dialect);
  const auto is_given = [&](auto test) {
    return std::any_of(options.column.begin(), options.column.end(), test);
  };
  file.has_header = names_columns(first) || is_given([](const std::string& column) {
                      return !column.empty() && !is_number(column);
                    });
  const bool is_chosen = !options.column[size_t(Column::user)].empty() &&
                         !options.column[size_t(Column::item)].empty();
  if (file.has_header || is_chosen) return;
  if (first.size() < 2)
    throw FileError(file.path, 1,
                    fmt::format("has one column with '{}' between columns; give --delimiter, and a "
                                "user and an item on each line",
                                file.dialect.delimiter));
  if (first.size() > 2 && !is_number(first[2]))
    throw FileError(file.path, 1,
                    fmt::format("which column is the user and which the item? Name them with "
                                "--user-col and --item-col: {}",
                                listed(first)));
}

InteractionFile interaction_file(const std::string& path, const SourceOptions& options) {
  InteractionFile file{path, {}, true, {-1, -1, -1, -1}, {}};
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  if (begins_object(first_line(path))) {
    file.dialect.objects = true;
    file.has_header = false;
    apply(options, file.dialect, file.has_header);
    file.dialect.keys = keys_of(path, file.dialect);
    find_columns(file, file.dialect.keys, true, options);
    return file;
  }
  const auto known = std::find_if(kInteractionFiles.begin(), kInteractionFiles.end(),
                                  [&](const KnownFile& each) { return each.name == name; });
  if (ends_with(name, ".inter")) {
    file.dialect = kTab;
    file.split = split_of(name);
    apply(options, file.dialect, file.has_header);
  } else if (known != kInteractionFiles.end() &&
             (options.format == "auto" || options.format == known->format)) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
    file.place = known->place;
    apply(options, file.dialect, file.has_header);
  } else {
    guess_dialect(file, options);
  }
  const std::vector<std::string> first = first_record(path, file.dialect);
  if (!file.has_header)
    for (size_t c = 0; c < kColumns; ++c) file.place[c] = c < first.size() ? int(c) : -1;
  find_columns(file, first, file.has_header, options);
  return file;
}

ItemFile item_file(const std::string& path, const SourceOptions& options) {
  ItemFile file{path, {}, true, -1, {}};
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  const auto known = std::find_if(kItemFiles.begin(), kItemFiles.end(),
                                  [&](const KnownItems& each) { return each.name == name; });
  if (begins_object(first_line(path))) {
    file.dialect.objects = true;
    file.has_header = false;
  } else if (known != kItemFiles.end()) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
  } else if (ends_with(name, ".item")) {
    file.dialect = kTab;
  } else {
    file.dialect.delimiter = delimiter_of(path);
    file.dialect.quotes = file.dialect.delimiter != "::";
  }
  if (!options.encoding.empty()) file.dialect.latin1 = options.encoding == "latin1";
  const bool objects = file.dialect.objects, is_named = file.has_header || objects;
  if (objects) file.dialect.keys = keys_of(path, file.dialect);
  const std::vector<std::string> first =
      objects ? file.dialect.keys : first_record(path, file.dialect);
  file.id = is_named ? known_column(first, kColumnNames[size_t(Column::item)]) : 0;
  if (file.id < 0)
    throw FileError(path, 1,
                    fmt::format("names no column of item ids that is known, such as item_id; its "
                                "columns are {}",
                                listed(first)));
  for (const std::string& wanted : options.title_columns)
    file.text.push_back(chosen_column(path, first, is_named, wanted, "--title-cols"));
  if (!file.text.empty()) return file;
  file.text.push_back(is_named ? known_column(first, kTitleNames) : 1);
  if (file.text[0] < 0 || file.text[0] >= int(first.size()))
    throw FileError(
        path, 1,
        fmt::format("names no column of titles that is known; name them with --title-cols: "
                    "the columns are {}",
                    listed(first)));
  return file;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed))
    if (entry->is_regular_file()) files.push_back(entry->path().string());
  if (failed) throw FileError(folder, "cannot be read (" + failed.message() + ")");
  std::sort(files.begin(), files.end());
  return files;
}

// The paths of train, valid and test of one name, as far as they are there.
std::vector<std::string> one_of_each(const std::string& folder, std::vector<std::string> paths) {
  const auto name_of = [](const std::string& path) {
    return without_compression_suffix(fs::path(path).filename().string());
  };
  std::sort(paths.begin(), paths.end(), [&](const std::string& a, const std::string& b) {
    return *split_of(name_of(a)) < *split_of(name_of(b));
  });
  for (size_t n = 1; n < paths.size(); ++n) {
    const std::string a = name_of(paths[n - 1]), b = name_of(paths[n]);
    if (split_of(a) == split_of(b) || stem_of(a) != stem_of(b))
      throw FileError(folder,
                      fmt::format("holds several datasets or one twice: {}; leave the files of "
                                  "one",
                                  fmt::join(paths, ", ")));
  }
  return paths;
}

std::vector<std::string> interaction_paths(const std::string& path) {
  std::error_code ignored;
  if (!is_there(path)) throw FileError(path, "is not there; name a file or a folder");
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<std::string> atomic, split, known;
  for (const std::string& file : files_in(path)) {
    const std::string name = without_compression_suffix(fs::path(file).filename().string());
    if (ends_with(name, ".inter")) (split_of(name) ? split : atomic).push_back(file);
    for (const KnownFile& each : kInteractionFiles)
      if (each.name == name) known.push_back(file);
  }
  if (atomic.empty() && !split.empty()) return one_of_each(path, split);
  if (atomic.empty()) atomic = known;
  if (atomic.size() == 1) return atomic;
  if (atomic.size() > 1)
    throw FileError(path, fmt::format("holds several files of interactions: {}; name one of them",
                                      fmt::join(atomic, ", ")));
  if (is_there(path + "/train.txt"))
    throw FileError(path, "is a dataset folder already: train on it as it is");
  throw FileError(
      path,
      "holds no file of interactions that is known (NAME.inter, ratings.csv, ratings.dat, "
      "u.data, BX-Book-Ratings.csv); name the file itself");
}

// What lies beside the interactions, or "".
std::string items_beside(const std::string& path) {
  const fs::path place(path);
  const std::string folder = place.parent_path().empty() ? "." : place.parent_path().string();
  const std::string name = without_compression_suffix(place.filename().string());
  for (const std::string& file : files_in(folder)) {
    const std::string other = without_compression_suffix(fs::path(file).filename().string());
    for (const KnownItems& each : kItemFiles)
      if (each.beside == name && each.name == other) return file;
    if (ends_with(name, ".inter") && other == stem_of(name) + ".item") return file;
  }
  return "";
}

std::string format_of(const InteractionFile& file, const std::string& wanted) {
  if (wanted != "auto") return wanted;
  if (file.dialect.objects) return "jsonl";
  const std::string name = without_compression_suffix(fs::path(file.path).filename().string());
  if (ends_with(name, ".inter")) return "recbole";
  for (const KnownFile& each : kInteractionFiles)
    if (each.name == name) return std::string(each.format);
  return "csv";
}

}  // namespace

const std::vector<std::string> kSourceFormats = {"auto",          "recbole", "movielens",
                                                 "book-crossing", "csv",     "jsonl"};

Source find_source(const std::string& path, const SourceOptions& options) {
  Source source;
  const std::vector<std::string> paths = interaction_paths(path);
  for (const std::string& each : paths)
    source.interactions.push_back(interaction_file(each, options));
  source.format = format_of(source.interactions.front(), options.format);
  const std::string items = options.items.empty() ? items_beside(paths.front()) : options.items;
  if (!items.empty()) source.items = item_file(items, options);
  if (items.empty() && !options.title_columns.empty())
    throw FileError(path, "has no file of items beside it for --title-cols; name one with --items");
  return source;
}

}  // namespace rec
