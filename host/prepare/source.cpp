#include "host/prepare/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "host/config/nearest_name.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string_view>;

// What columns are called, in small letters and without a RecBole type.
const std::array<Names, kColumns> kColumnNames = {
    Names{"user_id", "userid", "user-id", "user", "uid", "reviewerid", "customer_id", "visitorid"},
    Names{"item_id", "itemid", "item-id", "item", "iid", "movieid", "movie_id", "parent_asin",
          "asin", "product_id", "productid", "isbn", "business_id", "book_id", "id"},
    Names{"rating", "ratings", "overall", "stars", "score", "book-rating"},
    Names{"timestamp", "time", "unixreviewtime", "unix_timestamp"}};
const Names kTitleNames = {"title",      "movie_title", "product_title",
                           "book-title", "item_name",   "name"};
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

// A column's name as kColumnNames has it: small letters, without ":token".
std::string plain_name(std::string_view name) {
  std::string plain(name.substr(0, name.find(':')));
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](unsigned char c) { return char(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return plain;
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
      if (header[c] == wanted || header[c].substr(0, header[c].find(':')) == wanted) return int(c);
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

// Of an unknown file: by its name, else the one that its first line has most of.
std::string delimiter_of(const std::string& path) {
  if (ends_with(without_compression_suffix(path), ".tsv")) return "\t";
  RecordReader reader(path, Dialect{"\n", false});
  if (!reader.next()) throw FileError(path, "is empty; it must hold interactions or items");
  const std::string_view line = reader.fields()[0];
  if (line.find("::") != std::string_view::npos) return "::";
  char best = ',';
  for (const char each : {'\t', ';', '|', ' '})
    if (std::count(line.begin(), line.end(), each) > std::count(line.begin(), line.end(), best))
      best = each;
  return std::string(1, best);
}

void apply(const SourceOptions& options, Dialect& dialect) {
  if (!options.delimiter.empty()) dialect.delimiter = options.delimiter;
  if (!options.encoding.empty()) dialect.latin1 = options.encoding == "latin1";
}

// Whether the first line of a file that nothing is known of names columns.
bool names_columns(const std::vector<std::string>& first) {
  return known_column(first, kColumnNames[0]) >= 0 || known_column(first, kColumnNames[1]) >= 0;
}

// Finds the columns of a file whose dialect is known.
void find_columns(InteractionFile& file, const SourceOptions& options) {
  const std::vector<std::string> first = first_record(file.path, file.dialect);
  for (int c = 0; c < kColumns; ++c) {
    if (!options.column[size_t(c)].empty())
      file.place[size_t(c)] = chosen_column(file.path, first, file.has_header,
                                            options.column[size_t(c)], kOptionNames[size_t(c)]);
    else if (file.has_header)
      file.place[size_t(c)] = known_column(first, kColumnNames[size_t(c)]);
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

InteractionFile interaction_file(const std::string& path, const SourceOptions& options) {
  InteractionFile file{path, {}, true, {-1, -1, -1, -1}, {}};
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  const auto known = std::find_if(kInteractionFiles.begin(), kInteractionFiles.end(),
                                  [&](const KnownFile& each) { return each.name == name; });
  if (ends_with(name, ".inter")) {
    file.dialect = kTab;
    for (const auto& [part, split] :
         {std::pair{".train.inter", Split::train}, std::pair{".valid.inter", Split::valid},
          std::pair{".test.inter", Split::test}})
      if (ends_with(name, part)) file.split = split;
    apply(options, file.dialect);
  } else if (known != kInteractionFiles.end() &&
             (options.format == "auto" || options.format == known->format)) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
    file.place = known->place;
    apply(options, file.dialect);
  } else {
    file.dialect.delimiter = options.delimiter.empty() ? delimiter_of(path) : options.delimiter;
    file.dialect.quotes = file.dialect.delimiter != "::";
    apply(options, file.dialect);
    const std::vector<std::string> first = first_record(path, file.dialect);
    const bool is_named = std::any_of(
        options.column.begin(), options.column.end(),
        [](const std::string& column) { return !column.empty() && !is_number(column); });
    file.has_header = !options.no_header && (is_named || names_columns(first));
    if (!file.has_header) {
      if (first.size() < 2)
        throw FileError(
            path, 1,
            fmt::format("has one column with '{}' between columns; give --delimiter, and a "
                        "user and an item on each line",
                        file.dialect.delimiter));
      if (first.size() > 2 && !is_number(first[2]) && !options.no_header)
        throw FileError(path, 1,
                        fmt::format("which column is the user and which the item? Name them with "
                                    "--user-col and --item-col: {}",
                                    listed(first)));
      for (int c = 0; c < kColumns; ++c) file.place[size_t(c)] = c < int(first.size()) ? c : -1;
    }
  }
  find_columns(file, options);
  return file;
}

ItemFile item_file(const std::string& path, const SourceOptions& options) {
  ItemFile file{path, {}, true, -1, {}};
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  const auto known = std::find_if(kItemFiles.begin(), kItemFiles.end(),
                                  [&](const KnownItems& each) { return each.name == name; });
  if (known != kItemFiles.end()) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
  } else if (ends_with(name, ".item")) {
    file.dialect = kTab;
  } else {
    file.dialect.delimiter = delimiter_of(path);
    file.dialect.quotes = file.dialect.delimiter != "::";
  }
  if (!options.encoding.empty()) file.dialect.latin1 = options.encoding == "latin1";
  const std::vector<std::string> first = first_record(path, file.dialect);
  file.id = file.has_header ? known_column(first, kColumnNames[1]) : 0;
  if (file.id < 0)
    throw FileError(path, 1,
                    fmt::format("names no column of item ids that is known, such as item_id; its "
                                "columns are {}",
                                listed(first)));
  for (const std::string& wanted : options.title_columns)
    file.text.push_back(chosen_column(path, first, file.has_header, wanted, "--title-cols"));
  if (!file.text.empty()) return file;
  file.text.push_back(file.has_header ? known_column(first, kTitleNames) : 1);
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

std::vector<std::string> interaction_paths(const std::string& path) {
  std::error_code ignored;
  if (!is_there(path)) throw FileError(path, "is not there; name a file or a folder");
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<std::string> atomic, split, known;
  for (const std::string& file : files_in(path)) {
    const std::string name = without_compression_suffix(fs::path(file).filename().string());
    if (ends_with(name, ".train.inter") || ends_with(name, ".valid.inter") ||
        ends_with(name, ".test.inter"))
      split.push_back(file);
    else if (ends_with(name, ".inter"))
      atomic.push_back(file);
    for (const KnownFile& each : kInteractionFiles)
      if (each.name == name) known.push_back(file);
  }
  if (atomic.empty() && !split.empty()) return split;
  if (atomic.empty()) atomic = known;
  if (atomic.size() == 1) return atomic;
  if (atomic.size() > 1)
    throw FileError(path, fmt::format("holds several files of interactions: {}; name one of them",
                                      fmt::join(atomic, ", ")));
  if (is_there(path + "/train.txt"))
    throw FileError(path, "is a dataset folder already: train on it as it is");
  throw FileError(path,
                  "holds no file of interactions that is known (NAME.inter, ratings.csv, "
                  "ratings.dat, u.data, BX-Book-Ratings.csv); name the file itself");
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
    if (ends_with(name, ".inter") && ends_with(other, ".item") &&
        name.substr(0, name.find('.')) == other.substr(0, other.find('.')))
      return file;
  }
  return "";
}

std::string format_of(const std::string& path, const std::string& wanted) {
  if (wanted != "auto") return wanted;
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  if (ends_with(name, ".inter")) return "recbole";
  for (const KnownFile& each : kInteractionFiles)
    if (each.name == name) return std::string(each.format);
  return "csv";
}

}  // namespace

const std::vector<std::string> kSourceFormats = {"auto", "recbole", "movielens", "book-crossing",
                                                 "csv"};

Source find_source(const std::string& path, const SourceOptions& options) {
  Source source;
  const std::vector<std::string> paths = interaction_paths(path);
  source.format = format_of(paths.front(), options.format);
  for (const std::string& each : paths)
    source.interactions.push_back(interaction_file(each, options));
  const std::string items = options.items.empty() ? items_beside(paths.front()) : options.items;
  if (!items.empty()) source.items = item_file(items, options);
  if (items.empty() && !options.title_columns.empty())
    throw FileError(path, "has no file of items beside it for --title-cols; name one with --items");
  return source;
}

}  // namespace rec
