// Ranked lists with external ids and titles:
// a table for people, TSV or JSON lines for programs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ranker.h"
#include "host/dataset/dataset.h"
#include "host/formats/text_file.h"

namespace rec {

class ListPrinter {
 public:
  // format: table, tsv or jsonl. key: what a list belongs to, "user" or "item". file: as
  // output_file.h has it. Begins with the head of a TSV, so whatever may be refused comes before.
  ListPrinter(const Dataset& data, std::string format, std::string key,
              const std::string& file = "-");
  // name: the external id; heading: what a person reads above the table.
  void print(const std::string& name, const std::string& heading, const TopLists& lists,
             int64_t row);
  // For someone without a name: JSON has no user but the history's ids, TSV what it is called.
  void print_for_history(const std::vector<std::string>& history, const std::string& called,
                         const std::string& heading, const TopLists& lists, int64_t row);
  // Everything is written after this, and a file is at its place.
  void finish() { out_.commit(); }

 private:
  struct Entry {
    int64_t rank;  // from 1
    float score;
    int32_t item;
  };
  static std::vector<Entry> entries_of(const TopLists& lists, int64_t row);
  void print_table(const std::string& heading, const std::vector<Entry>& entries);
  void print_tsv(const std::string& name, const std::vector<Entry>& entries);
  // whose: its first members
  void print_json_line(const std::string& whose, const std::vector<Entry>& entries);
  const std::string& json_of(int32_t item);

  const Dataset& data_;
  std::string format_, key_;
  TextFile out_;
  std::vector<std::string> json_of_item_;  // made when first asked for
};

}  // namespace rec
