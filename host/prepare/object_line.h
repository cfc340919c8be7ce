// One line that holds one object: JSON, or what Python prints of a dict ({'a': "it's", u'b': None}).
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace rec {

// values[k]: the value of keys[k] as text: strings as they are, numbers as they are written, null and
// what is missing as "", the texts of a list, or of lists in it, with blanks between them; of objects
// inside nothing. Of a key that comes twice the last counts. Without keys: the object's own keys.
// False when the line is no object.
bool read_object(std::string_view line, const std::vector<std::string>& keys,
                 std::vector<std::string>& values);

// Whether a line can be an object at all: it begins with a brace.
bool begins_object(std::string_view line);

}  // namespace rec
