// What language vectors are made of: one text an item, from columns of items.tsv. data/item_texts.py
// reads the same, byte for byte, which tests/program/test_embed.py holds them to.
//
// Columns go by the names in the header; a table without one has item, original_id and title. The
// last column holds the rest of its line. In a field tabs become blanks, and blanks of any alphabet
// go from its ends; the fields of an item that hold something are joined by ", ". Refused: what
// id_table.h refuses, and a column that is not there (NoSuchColumn).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/formats/file_error.h"

namespace rec {

// A column that is not there.
class NoSuchColumn : public FileError {
 public:
  using FileError::FileError;
};

struct ItemTexts {
  std::vector<std::string> text;  // by item; "" where no column holds anything
  std::vector<int64_t> line;      // of the item, from 1
};

ItemTexts parse_item_texts(std::string_view table, const std::string& name,
                           const std::vector<std::string>& columns);
ItemTexts read_item_texts(const std::string& path, const std::vector<std::string>& columns);

// CRC-32 of the texts with a line end between them, 8 hexadecimal digits: what item_language.json
// calls "texts". It tells whether vectors are of these texts, and is no defence against deceit.
std::string checksum_of_texts(const std::vector<std::string>& texts);

}  // namespace rec
