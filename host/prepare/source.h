// What lies at a path that interactions are to be read from: which files, how they are written, and
// which of their columns say what. Known by name and by the first line:
//
//   recbole      NAME.inter, or NAME.train.inter, NAME.valid.inter, NAME.test.inter; NAME.item
//   movielens    ratings.csv and movies.csv; ratings.dat and movies.dat; u.data and u.item
//   book-crossing  BX-Book-Ratings.csv and BX_Books.csv or BX-Books.csv
//   jsonl        an object a line: JSON, or what Python prints of a dict (Amazon reviews, Steam)
//   csv          one file of any name: its first line names the columns, or they are user, item,
//                rating, time in that order
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "host/prepare/record_reader.h"

namespace rec {

enum class Column { user, item, rating, time };
inline constexpr int kColumns = 4;
// What names each on the command line.
inline constexpr std::array<const char*, kColumns> kColumnOptions = {"--user-col", "--item-col",
                                                                     "--rating-col", "--time-col"};

struct InteractionFile {
  std::string path;
  Dialect dialect;
  bool has_header = true;
  std::array<int, kColumns> place{-1, -1, -1, -1};  // of each Column; -1: not there
  std::array<std::string, kColumns> name;  // of each: "userId", or "column 1"; "": not there
  std::optional<Split> split;              // where the source is split already

  int at(Column column) const { return place[size_t(column)]; }
};

struct ItemFile {
  std::string path;
  Dialect dialect;
  bool has_header = true;
  int id = 0;
  std::vector<int> text;  // columns that make the title, in this order
};

struct Source {
  std::string format;
  std::vector<InteractionFile> interactions;
  std::optional<ItemFile> items;
};

struct SourceOptions {
  std::string format = "auto";
  std::array<std::string, kColumns> column;  // names, or numbers from 1; "": as found
  std::string items;                         // a file; "": what lies beside the interactions
  std::vector<std::string> title_columns;    // names, or numbers from 1; empty: as found
  std::string delimiter;                     // "": as found
  std::string encoding;                      // "utf-8", "latin1"; "": as the format has it
  int header = 0;                            // 1: the first line names columns; -1: it does not
};

extern const std::vector<std::string> kSourceFormats;

// Throws FileError when nothing is recognised, a column is missing, or a file cannot be read.
Source find_source(const std::string& path, const SourceOptions& options);

}  // namespace rec
