// Which column of a file holds what: by its name in a header or among the keys of objects, or by
// its number.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "host/prepare/record_reader.h"

namespace rec {

enum class Column { user, item, rating, time, split };
inline constexpr int kColumns = 5;
// A file without a header has no more than user, item, rating and time, in that order.
inline constexpr int kColumnsInOrder = 4;
// What names each on the command line.
inline constexpr std::array<const char*, kColumns> kColumnOptions = {
    "--user-col", "--item-col", "--rating-col", "--time-col", "--split-col"};

// Columns by name: of a header, or of objects, of which not every one has every key.
struct Header {
  Header(std::vector<std::string> all) : names(std::move(all)), everywhere(names.size()) {}
  std::vector<std::string> names;
  size_t everywhere;  // so many, the first, stand in every object
};

// The keys of a file of objects: of its first lines, as not every object has them all. First those
// that most objects have, as they come. Passes over so many bad lines.
Header keys_of(const std::string& path, const Dialect& dialect, int64_t most_bad_lines);

// The column that goes by one of the usual names, or -1; what stands in every object goes first.
int known_column(const Header& header, Column column);
int known_title_column(const Header& header);
// Of a file of items: also "original_id", as items.tsv has it.
int known_id_column(const Header& header);
bool names_users_or_items(const Header& header);

// The column that an option names, or numbers from 1. Throws FileError where there is none such.
int chosen_column(const std::string& path, const std::vector<std::string>& header, bool has_header,
                  const std::string& wanted, const char* option);

// The first records of a file, so many at most and one at least. Throws FileError where there is
// none. Passes over so many bad lines, but not the first, which may be a header.
std::vector<std::vector<std::string>> first_records(const std::string& path, const Dialect& dialect,
                                                    size_t most, int64_t most_bad_lines);
std::vector<std::string> first_record(const std::string& path, const Dialect& dialect);

bool is_number(const std::string& text);
// Names of columns for a sentence.
std::string listed(const std::vector<std::string>& header);

}  // namespace rec
