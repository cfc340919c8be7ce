// The ids that the numbers of train.txt, valid.txt and test.txt stand for.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/prepare/id_dictionary.h"
#include "host/prepare/record_reader.h"

namespace rec {

class NumberedIds {
 public:
  enum class Kind { table, list };  // users.tsv, items.tsv; user_list.txt, item_list.txt
  // `ids`, which must be empty and outlive this, gets the file's ids in the order of their numbers,
  // and `titles` what a table calls them. Without a file ("") the numbers are the ids. Throws
  // FileError where the file cannot be read.
  NumberedIds(const std::string& file, Kind kind, IdDictionary& ids,
              std::vector<std::string>& titles);

  // The number that `ids` has for this one. Refuses the reader's line where the file has no such
  // row.
  int32_t number_of(int32_t number, const RecordReader& records);

 private:
  std::string file_;
  int64_t rows_ = 0;
  IdDictionary& ids_;
};

}  // namespace rec
