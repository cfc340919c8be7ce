// A source of interactions: which files, how they are written, and which of their columns say what.
// Known by name and by the first line:
//
//   recbole      NAME.inter, or NAME.train.inter, NAME.valid.inter, NAME.test.inter; NAME.item
//   movielens    ratings.csv and movies.csv; ratings.dat and movies.dat; u.data and u.item
//   book-crossing  BX-Book-Ratings.csv and BX_Books.csv or BX-Books.csv
//   lightgcn     train.txt, valid.txt, test.txt; user_list.txt and item_list.txt; items.csv
//   dataset      a dataset folder or the authors' tree, as dataset.h reads it; its tables
//   jsonl        an object a line: JSON, or what Python prints of a dict (Amazon reviews, Steam)
//   csv          one file of any name: its first line names the columns, or they are user, item,
//                rating, time in that order; items.csv beside interactions.csv
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"
#include "host/prepare/columns.h"
#include "host/prepare/record_reader.h"

namespace rec {

struct InteractionFile {
  std::string path;
  Dialect dialect;
  bool has_header = true;
  std::array<int, kColumns> place{-1, -1, -1, -1, -1};  // of each Column; -1: not there
  std::array<std::string, kColumns> name;  // of each: "userId", or "column 1"; "": not there
  std::optional<Split> split;              // of all that the file holds
  bool is_numbered = false;  // a line is a user's number and her items'; it has no columns

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
  // What the numbers of numbered files stand for: LightGCN's lists, or tables of a dataset; "" where
  // ids are the numbers themselves.
  std::string user_ids, item_ids;

  // Whether every interaction is in train, valid or test already.
  bool is_split() const {
    return interactions.front().split || interactions.front().at(Column::split) >= 0;
  }
};

struct SourceOptions {
  std::string format = "auto";
  std::array<std::string, kColumns> column;  // names, or numbers from 1; "": as found
  std::string items;                         // a file; "": what lies beside the interactions
  std::vector<std::string> title_columns;    // names, or numbers from 1; empty: as found
  std::string delimiter;                     // "": as found
  std::string encoding;                      // "utf-8", "latin1"; "": as the format has it
  int header = 0;                            // 1: the first line names columns; -1: it does not
  int64_t most_bad_lines = 0;  // passed over behind the first line while columns are found
};

extern const std::vector<std::string> kSourceFormats;

// Throws FileError when nothing is recognised, a column is missing, or a file cannot be read.
Source find_source(const std::string& path, const SourceOptions& options);

}  // namespace rec
