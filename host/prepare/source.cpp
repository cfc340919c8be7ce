#include "host/prepare/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

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

struct KnownFile {
  std::string_view name;
  std::string_view format;
  Dialect dialect;
  bool has_header;  // else its columns are user, item, rating, time
};
const Dialect kComma{}, kTab{"\t", false}, kColons{"::", false, false, true},
    kBars{"|", false, false, true}, kBooks{";", true, true, true};
const std::vector<KnownFile> kInteractionFiles = {
    {"ratings.csv", "movielens", kComma, true},
    {"ratings.dat", "movielens", kColons, false},
    {"u.data", "movielens", kTab, false},
    {"BX-Book-Ratings.csv", "book-crossing", kBooks, true},
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

// The first records of a file, so many at most.
std::vector<std::vector<std::string>> first_records(const std::string& path, const Dialect& dialect,
                                                    size_t most) {
  RecordReader reader(path, dialect);
  std::vector<std::vector<std::string>> records;
  while (records.size() < most && reader.next())
    records.emplace_back(reader.fields().begin(), reader.fields().end());
  if (records.empty()) throw FileError(path, "is empty; it must hold interactions or items");
  return records;
}
std::vector<std::string> first_record(const std::string& path, const Dialect& dialect) {
  return first_records(path, dialect, 1)[0];
}

// Columns by name: of a header, or of objects, of which not every one has every key.
struct Header {
  Header(std::vector<std::string> all) : names(std::move(all)), everywhere(names.size()) {}
  std::vector<std::string> names;
  size_t everywhere;  // so many, the first, stand in every object
};

// The first of the known names that a header has, or -1; what stands everywhere goes first.
int known_column(const Header& header, const Names& known) {
  for (const size_t among : {header.everywhere, header.names.size()})
    for (const std::string_view name : known)
      for (size_t c = 0; c < among; ++c)
        if (plain_name(header.names[c]) == name) return int(c);
  return -1;
}

bool names_users_or_items(const Header& header) {
  return known_column(header, kColumnNames[size_t(Column::user)]) >= 0 ||
         known_column(header, kColumnNames[size_t(Column::item)]) >= 0;
}

std::string listed(const std::vector<std::string>& header) {
  constexpr size_t kShown = 20;
  std::vector<std::string> names;
  for (size_t c = 0; c < std::min(header.size(), kShown); ++c) names.push_back(excerpt(header[c]));
  return fmt::format("'{}'{}", fmt::join(names, "', '"), header.size() > kShown ? ", ..." : "");
}

// The column that an option names, or numbers from 1.
int chosen_column(const std::string& path, const std::vector<std::string>& header, bool has_header,
                  const std::string& wanted, const char* option) {
  int number = 0;
  const char* last = wanted.data() + wanted.size();
  const auto [rest, error] = std::from_chars(wanted.data(), last, number);
  const bool is_number = error == std::errc() && rest == last;
  if (has_header) {
    const auto exact = std::find(header.begin(), header.end(), wanted);
    if (exact != header.end()) return int(exact - header.begin());
    std::vector<int> alike;
    for (size_t c = 0; c < header.size(); ++c)
      if (plain_name(header[c]) == plain_name(wanted)) alike.push_back(int(c));
    if (alike.size() == 1) return alike[0];
  }
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

// The keys of a file of objects: of its first lines, as not every object has them all. First those
// that most objects have, as they come.
Header keys_of(const std::string& path, const Dialect& dialect) {
  constexpr int kLines = 1000;
  constexpr size_t kMostKeys = 1000;
  RecordReader reader(path, dialect);
  std::vector<std::pair<std::string, int>> keys;  // and how many objects have it
  std::map<std::string, size_t, std::less<>> place;
  int lines = 0;
  for (; lines < kLines && reader.next(); ++lines)
    for (const std::string_view key : reader.fields()) {
      const auto [known, is_new] = place.emplace(std::string(key), keys.size());
      if (is_new) keys.emplace_back(key, 0);
      ++keys[known->second].second;
      if (keys.size() > kMostKeys)
        reader.refuse(fmt::format(
            "brings the keys to more than {}; these are no objects of one kind", kMostKeys));
    }
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> names;
  for (const auto& [name, objects] : keys) names.push_back(name);
  Header header(std::move(names));
  header.everywhere = size_t(std::count_if(keys.begin(), keys.end(),
                                           [&](const auto& key) { return key.second == lines; }));
  return header;
}

// Of the keys those that something is taken from, each once: nothing else of an object is kept.
template <class Places>
void keep_keys(std::vector<std::string>& keys, Places& places) {
  std::vector<std::string> kept;
  for (int& place : places) {
    if (place < 0) continue;
    const std::string& key = keys[size_t(place)];
    place = int(std::find(kept.begin(), kept.end(), key) - kept.begin());
    if (place == int(kept.size())) kept.push_back(key);
  }
  keys = std::move(kept);
}

// Finds the columns of a file whose dialect is known, from its header, its keys or its first line.
void find_columns(InteractionFile& file, const Header& header, bool is_named,
                  const SourceOptions& options) {
  const std::vector<std::string>& first = header.names;
  for (size_t c = 0; c < kColumns; ++c) {
    if (!options.column[c].empty())
      file.place[c] =
          chosen_column(file.path, first, is_named, options.column[c], kColumnOptions[c]);
    else if (is_named)
      file.place[c] = known_column(header, kColumnNames[c]);
  }
  if (is_named && !names_users_or_items(header) &&
      std::all_of(first.begin(), first.end(), is_number))
    throw FileError(file.path, 1,
                    fmt::format("holds numbers where a header is expected: {}; give --no-header",
                                listed(first)));
  for (const Column needed : {Column::user, Column::item})
    if (file.at(needed) < 0)
      throw FileError(
          file.path, 1,
          fmt::format("names no column of {}s that is known; name it with {}: the columns "
                      "are {}",
                      needed == Column::user ? "user" : "item", kColumnOptions[size_t(needed)],
                      listed(first)));
  if (file.at(Column::user) == file.at(Column::item))
    throw FileError(
        file.path, 1,
        "users and items would be one column; name both with --user-col and --item-col");
  for (size_t c = 0; c < kColumns; ++c)
    if (file.place[c] >= 0)
      file.name[c] =
          is_named ? first[size_t(file.place[c])] : fmt::format("column {}", file.place[c] + 1);
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
  file.has_header = names_users_or_items(first) || is_given([](const std::string& column) {
                      return !column.empty() && !is_number(column);
                    });
  if (file.has_header) return;
  const std::vector<std::string> second = first_records(file.path, file.dialect, 2).back();
  for (size_t c = 0; c < std::min(first.size(), second.size()); ++c)
    if (!is_number(first[c]) && is_number(second[c]))
      throw FileError(
          file.path, 1,
          fmt::format("is it a header? '{}' stands above the number '{}'; give --header or "
                      "--no-header, and with a header --user-col and --item-col",
                      excerpt(first[c]), excerpt(second[c])));
  const bool is_chosen = !options.column[size_t(Column::user)].empty() &&
                         !options.column[size_t(Column::item)].empty();
  if (is_chosen) return;
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

// Refuses a format, or what is said of delimited text, where the file is something else.
void require_format(const std::string& path, const std::string& name, bool objects,
                    const SourceOptions& options) {
  const bool is_inter = ends_with(name, ".inter");
  const bool fits = options.format == "auto" || objects == (options.format == "jsonl");
  if (!fits || (is_inter && options.format != "auto" && options.format != "recbole"))
    throw FileError(path, fmt::format("{}, not --format {}; leave the option out",
                                      objects    ? "holds an object a line, which is --format jsonl"
                                      : is_inter ? "is by its name --format recbole"
                                                 : "holds no object on its first line",
                                      options.format));
  if (objects && (options.header != 0 || !options.delimiter.empty()))
    throw FileError(path,
                    "holds an object a line: --delimiter, --header and --no-header mean nothing "
                    "there; leave them out");
}

InteractionFile interaction_file(const std::string& path, const SourceOptions& options) {
  InteractionFile file{path, {}, true, {-1, -1, -1, -1}, {}, {}};
  const std::string name = without_compression_suffix(fs::path(path).filename().string());
  const bool objects = begins_object(first_line(path));
  require_format(path, name, objects, options);
  if (objects) {
    file.dialect.objects = true;
    file.dialect.latin1 = options.encoding == "latin1";
    file.has_header = false;
    const Header keys = keys_of(path, file.dialect);
    file.dialect.keys = keys.names;
    find_columns(file, keys, true, options);
    keep_keys(file.dialect.keys, file.place);
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

// Titles that are UTF-8 all over are no Latin-1, whatever the format's own files were.
bool is_utf8(const std::string& path, Dialect dialect) {
  dialect.latin1 = false;
  try {
    RecordReader reader(path, dialect);
    while (reader.next()) {
    }
  } catch (const FileError&) {
    return false;
  }
  return true;
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
    const std::vector<std::string> first = first_record(path, file.dialect);
    file.has_header = known_column(first, kColumnNames[size_t(Column::item)]) >= 0 ||
                      known_column(first, kTitleNames) >= 0;
  }
  if (!options.encoding.empty())
    file.dialect.latin1 = options.encoding == "latin1";
  else if (file.dialect.latin1 && is_utf8(path, file.dialect))
    file.dialect.latin1 = false;
  const bool objects = file.dialect.objects, is_named = file.has_header || objects;
  const Header header = objects ? keys_of(path, file.dialect) : first_record(path, file.dialect);
  const std::vector<std::string>& first = header.names;
  if (objects) file.dialect.keys = first;
  file.id = is_named ? known_column(header, kColumnNames[size_t(Column::item)]) : 0;
  if (file.id < 0)
    throw FileError(path, 1,
                    fmt::format("names no column of item ids that is known, such as item_id; its "
                                "columns are {}",
                                listed(first)));
  for (const std::string& wanted : options.title_columns)
    file.text.push_back(chosen_column(path, first, is_named, wanted, "--title-cols"));
  if (file.text.empty()) file.text.push_back(is_named ? known_column(header, kTitleNames) : 1);
  if (file.text[0] < 0 || file.text[0] >= int(first.size()))
    throw FileError(
        path, 1,
        fmt::format("names no column of titles that is known; name them with --title-cols: "
                    "the columns are {}",
                    listed(first)));
  if (objects) {
    std::vector<int> places = {file.id};
    places.insert(places.end(), file.text.begin(), file.text.end());
    keep_keys(file.dialect.keys, places);
    file.id = places[0];
    file.text.assign(places.begin() + 1, places.end());
  }
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
