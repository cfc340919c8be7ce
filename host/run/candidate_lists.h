// A file of candidate lists: a line is "user item item ...", ids from 0: a user, and the items that
// are ranked for her. One of them stands in the evaluated split, the positive; she has the others
// in no split.
//
// A user may have several lines, in any order. Where lists are pooled, a line may hold any number
// of positives, also none: the authors' test_neg.txt.
//
// Refused with the line: what is not an id, a user or an item that the dataset does not have, an
// item twice, an item of hers in another split, no negative, and, unless pooled, another number of
// positives than one; and a file without lists.
#pragma once
#include <string>
#include <string_view>

#include "engine/candidates.h"
#include "host/dataset/dataset.h"

namespace rec {

// text: the file's bytes; name: for the sentence of a refusal. pooled: one list a user, with all her
// items of the split (engine/candidates.h).
CandidateLists parse_candidate_lists(std::string_view text, const std::string& name,
                                     const Dataset& data, Split split, bool pooled);
CandidateLists read_candidate_lists(const std::string& path, const Dataset& data, Split split,
                                    bool pooled);

// The positives of each list first.
void write_candidate_lists(const std::string& path, const CandidateLists& lists);

}  // namespace rec
