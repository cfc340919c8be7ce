// The files that formats bring: what they are called, and how they are written.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "host/dataset/dataset.h"
#include "host/formats/file_names.h"
#include "host/prepare/record_reader.h"

namespace rec {

// How delimited text is written.
extern const Dialect kTab, kColons, kBooks;

struct KnownFile {
  std::string_view name;
  std::string_view format;
  Dialect dialect;
  bool has_header;  // else its columns are user, item, rating, time
};
// A file of interactions of MovieLens or Book-Crossing; null where the name is none of theirs.
const KnownFile* known_interactions(std::string_view name);

struct KnownItems {
  std::string_view beside;  // the interactions' file
  std::string_view name;
  Dialect dialect;
  bool has_header;
};
// A file of items of the same.
const KnownItems* known_items(std::string_view name);
// Whether `items` is the file of items that belongs beside these interactions, in any format.
bool belong_together(std::string_view interactions, std::string_view items);

// RecBole's files: "a.inter", "a.item"; "a.train.inter" is the part `train` of "a".
bool is_recbole(std::string_view name);
std::optional<Split> recbole_split(std::string_view name);
std::string recbole_stem(std::string_view name);

// Of a path: without its folder, and without the ending of a compressed file.
std::string plain_file_name(const std::string& path);

}  // namespace rec
