// Prints ranked lists with external ids and titles: a table for people, TSV or JSON lines for
// programs.
#pragma once
#include <string>

#include "engine/ranker.h"
#include "host/dataset/dataset.h"

namespace rec {

class ListPrinter {
 public:
  // format: table, tsv or jsonl. key: what a list belongs to, "user" or "item".
  ListPrinter(const Dataset& data, std::string format, std::string key);
  // name: the external id; heading: what a person reads above the table.
  void print(const std::string& name, const std::string& heading, const TopLists& lists,
             int64_t row);

 private:
  const Dataset& data_;
  std::string format_, key_;
};

}  // namespace rec
