// What someone may have meant who typed a name that is not known.
#pragma once
#include <string>
#include <vector>

namespace rec {

// The known name with the fewest insertions, deletions and replacements (Levenshtein's distance),
// the first of equals; "" when even that one takes more than a third of the word's length and one.
std::string nearest_name(const std::string& word, const std::vector<std::string>& known);

}  // namespace rec
