// train.txt, valid.txt, test.txt: one user a line, "user item item ...", ids from 0.
//
// Accepted: CRLF, a UTF-8 byte order mark, empty lines, tabs for spaces, a user without items, a
// user on several lines (merged), the same interaction twice (counted once, or each time where that
// is asked for, and how often is reported). Refused with the line: what is not a number (a NUL byte
// or a lone carriage return included), a negative id, an id above 2^31 - 2. Refused without it: a
// user id above 10 million and above 100 times the number of lines, for ids that far apart are a
// mistake and would only ask for memory.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/host_csr.h"

namespace rec {

struct Interactions {
  HostCsr items_of_user;        // [largest user + 1, largest item + 1], rows ascending
  std::vector<uint8_t> listed;  // [rows] 1 where the user has a line
  int64_t duplicates = 0;       // repeated interactions
};

// What an interaction that stands there several times counts as.
enum class Repeats { once, each };

// Whether ids up to this one, among which `named` lines or interactions name some, lie so far apart
// that they are a mistake: above 10 million and above 100 times as many.
bool is_far_id(int64_t id, int64_t named);

// text: the file's bytes; name: for the sentence of a refusal.
Interactions parse_interactions(std::string_view text, const std::string& name,
                                Repeats repeats = Repeats::once);
// Of a CSR in memory, whose rows may be in any order and are all listed; name as above. Refused:
// offsets that fall, an id that is not from 0 to cols - 1.
Interactions interactions_of(CsrView csr, const std::string& name, Repeats repeats = Repeats::once);
Interactions read_interactions(const std::string& path, Repeats repeats = Repeats::once);

}  // namespace rec
