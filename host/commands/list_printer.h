// Prints ranked lists with external ids and titles:
// a table for people, TSV or JSON lines for programs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ranker.h"
#include "host/dataset/dataset.h"

namespace rec {

class ListPrinter {
 public:
  // format: table, tsv or jsonl. key: what a list belongs to, "user" or "item". Prints the head of
  // a TSV, so whatever may be refused comes before.
  ListPrinter(const Dataset& data, std::string format, std::string key);
  // name: the external id; heading: what a person reads above the table.
  void print(const std::string& name, const std::string& heading, const TopLists& lists,
             int64_t row);
  // For someone without a name: JSON has no user but the history's ids, TSV what it is called.
  void print_for_history(const std::vector<std::string>& history, const std::string& called,
                         const std::string& heading, const TopLists& lists, int64_t row);

 private:
  struct Entry {
    int64_t rank;  // from 1
    float score;
    std::string id, title;
  };
  void print_table(const std::string& heading, const std::vector<Entry>& entries) const;
  void print_tsv(const std::string& name, const std::vector<Entry>& entries) const;
  void print_json_line(const std::string& name, const std::vector<std::string>& history,
                       const std::vector<Entry>& entries) const;
  // history: empty for someone with a name
  void print(const std::string& name, const std::vector<std::string>& history,
             const std::string& heading, const TopLists& lists, int64_t row) const;

  const Dataset& data_;
  std::string format_, key_;
};

}  // namespace rec
