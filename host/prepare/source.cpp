#include "host/prepare/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/formats/excerpt.h"
#include "host/formats/file_error.h"
#include "host/prepare/known_files.h"
#include "host/prepare/object_line.h"
#include "host/prepare/source_paths.h"

namespace rec {
namespace {

std::string first_line(const std::string& path) {
  const Dialect whole_lines{"\n", false, false, true};  // Latin-1 refuses no byte
  return first_record(path, whole_lines)[0];
}

// Of an unknown file: by its name, else the one that its first line has most of.
std::string delimiter_of(const std::string& path) {
  if (plain_file_name(path).ends_with(".tsv")) return "\t";
  const std::string line = first_line(path);
  std::string best = ",";
  const auto count = [&](const std::string& delimiter) {
    int64_t found = 0;
    for (size_t at = line.find(delimiter); at != std::string::npos;
         at = line.find(delimiter, at + delimiter.size()))
      ++found;
    return found;
  };
  for (const char* each : {"\t", ";", "|"})
    if (count(each) > count(best)) best = each;
  const int64_t colons = count("::");
  if (colons > 0 && (colons > 1 || count(best) == 0) && colons >= count(best)) return "::";
  return count(best) == 0 && count(" ") > 0 ? " " : best;  // names of columns may hold blanks
}

void apply(const SourceOptions& options, Dialect& dialect, bool& has_header) {
  if (!options.delimiter.empty()) {
    dialect.delimiter = options.delimiter == "\\t" ? "\t" : options.delimiter;
    if (dialect.delimiter == "::") dialect.quotes = false;
  }
  if (!options.encoding.empty()) dialect.latin1 = options.encoding == "latin1";
  if (options.header != 0) has_header = options.header > 0;
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
      file.place[c] = known_column(header, Column(c));
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
  if (file.split) {
    if (!options.column[size_t(Column::split)].empty())
      throw FileError(file.path, "is one part of a split by its name; leave out --split-col");
    file.place[size_t(Column::split)] = -1;
  }
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
  if (options.format == "auto" && delimiter == " " &&
      std::count(kSplitFiles.begin(), kSplitFiles.end(), plain_file_name(file.path)) > 0)
    throw FileError(file.path, 1,
                    "may hold a user and all her items on a line: then name the folder it lies in; "
                    "if a line is one interaction, give --format csv");
  const std::vector<std::string> second =
      first_records(file.path, file.dialect, 2, options.most_bad_lines).back();
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
  const bool is_inter = is_recbole(name);
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
  InteractionFile file;
  file.path = path;
  const std::string name = plain_file_name(path);
  const bool objects = begins_object(first_line(path));
  require_format(path, name, objects, options);
  if (objects) {
    file.dialect.objects = true;
    file.dialect.latin1 = options.encoding == "latin1";
    file.has_header = false;
    const Header keys = keys_of(path, file.dialect, options.most_bad_lines);
    file.dialect.keys = keys.names;
    find_columns(file, keys, true, options);
    keep_keys(file.dialect.keys, file.place);
    return file;
  }
  const KnownFile* known = known_interactions(name);
  if (is_recbole(name)) {
    file.dialect = kTab;
    file.split = recbole_split(name);
    apply(options, file.dialect, file.has_header);
  } else if (known != nullptr && (options.format == "auto" || options.format == known->format)) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
    apply(options, file.dialect, file.has_header);
  } else {
    guess_dialect(file, options);
  }
  const std::vector<std::string> first = first_record(path, file.dialect);
  if (!file.has_header)
    for (size_t c = 0; c < kColumnsInOrder; ++c) file.place[c] = c < first.size() ? int(c) : -1;
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

// Where nobody asks for the file (must_fit), none that does not name its ids and titles as such.
std::optional<ItemFile> item_file(const std::string& path, const SourceOptions& options,
                                  bool must_fit) {
  ItemFile file{path, {}, true, -1, {}};
  const std::string name = plain_file_name(path);
  const KnownItems* known = known_items(name);
  if (begins_object(first_line(path))) {
    file.dialect.objects = true;
    file.has_header = false;
  } else if (known != nullptr) {
    file.dialect = known->dialect;
    file.has_header = known->has_header;
  } else if (name.ends_with(kAtomicItems)) {
    file.dialect = kTab;
  } else {
    file.dialect.delimiter = delimiter_of(path);
    file.dialect.quotes = file.dialect.delimiter != "::";
    const std::vector<std::string> first = first_record(path, file.dialect);
    file.has_header = known_id_column(first) >= 0 || known_title_column(first) >= 0;
    if (!must_fit && !file.has_header) return std::nullopt;
  }
  if (!options.encoding.empty())
    file.dialect.latin1 = options.encoding == "latin1";
  else if (file.dialect.latin1 && is_utf8(path, file.dialect))
    file.dialect.latin1 = false;
  const bool objects = file.dialect.objects, is_named = file.has_header || objects;
  const Header header = objects ? keys_of(path, file.dialect, options.most_bad_lines)
                                : first_record(path, file.dialect);
  const std::vector<std::string>& first = header.names;
  if (objects) file.dialect.keys = first;
  file.id = is_named ? known_id_column(header) : 0;
  if (!must_fit && is_named && (file.id < 0 || known_title_column(header) < 0)) return std::nullopt;
  if (file.id < 0)
    throw FileError(path, 1,
                    fmt::format("names no column of item ids that is known, such as item_id; its "
                                "columns are {}",
                                listed(first)));
  for (const std::string& wanted : options.title_columns)
    file.text.push_back(chosen_column(path, first, is_named, wanted, "--title-cols"));
  if (file.text.empty()) file.text.push_back(is_named ? known_title_column(header) : 1);
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

std::string format_of(const InteractionFile& file, const std::string& wanted) {
  if (wanted != "auto") return wanted;
  if (file.dialect.objects) return "jsonl";
  const std::string name = plain_file_name(file.path);
  if (is_recbole(name)) return "recbole";
  const KnownFile* known = known_interactions(name);
  return known == nullptr ? "csv" : std::string(known->format);
}

// What is said of columns where there are none.
void refuse_columns(const std::string& path, const SourceOptions& options) {
  const auto refuse = [&](const char* option) {
    throw FileError(path, fmt::format("holds lines of a user's number and her items': {} means "
                                      "nothing there; leave it out",
                                      option));
  };
  for (size_t c = 0; c < kColumns; ++c)
    if (!options.column[c].empty()) refuse(kColumnOptions[c]);
  if (!options.delimiter.empty()) refuse("--delimiter");
  if (options.header != 0) refuse(options.header > 0 ? "--header" : "--no-header");
}

// train.txt, valid.txt or test.txt. A line is read as a whole.
InteractionFile numbered_file(const std::string& path, const SourcePaths& paths) {
  InteractionFile file;
  file.path = path;
  file.dialect = {"\n", false};
  file.has_header = false;
  file.is_numbered = true;
  const auto named = [](const char* number, const std::string& ids) {
    return ids.empty() ? std::string(number)
                       : fmt::format("{} as {} has it", number, plain_file_name(ids));
  };
  file.name[size_t(Column::user)] = named("the first number", paths.user_ids);
  file.name[size_t(Column::item)] = named("each further number", paths.item_ids);
  const auto* name = std::find(kSplitFiles.begin(), kSplitFiles.end(), plain_file_name(path));
  file.split = Split(name - kSplitFiles.begin());
  return file;
}

}  // namespace

const std::vector<std::string> kSourceFormats = {"auto", "recbole", "movielens", "book-crossing",
                                                 "csv",  "jsonl",   "lightgcn",  "dataset"};

Source find_source(const std::string& path, const SourceOptions& options) {
  const SourcePaths paths = find_paths(path, options.format);
  Source source;
  source.user_ids = paths.user_ids;
  source.item_ids = paths.item_ids;
  if (!paths.numbered.empty()) refuse_columns(path, options);
  for (const std::string& each : paths.interactions)
    source.interactions.push_back(paths.numbered.empty() ? interaction_file(each, options)
                                                         : numbered_file(each, paths));
  source.format = paths.numbered.empty() ? format_of(source.interactions.front(), options.format)
                                         : paths.numbered;
  std::string items = options.items;
  if (items.empty() && paths.numbered != "dataset")
    items = items_beside(paths.interactions.front());
  const bool must_fit = !options.items.empty() || !options.title_columns.empty();
  if (!items.empty()) source.items = item_file(items, options, must_fit);
  if (items.empty() && !options.title_columns.empty())
    throw FileError(path, "has no file of items beside it for --title-cols; name one with --items");
  if (!paths.numbered.empty() && !source.items && !options.encoding.empty())
    throw FileError(
        path,
        "holds numbers, and tables and lists in UTF-8: --encoding is of a file of items "
        "alone there; leave it out");
  return source;
}

}  // namespace rec
