// The queries that an intention command moves lists towards, as language vectors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/dataset/dataset.h"

namespace rec {

// A file with one language vector, [width] or [1, width], that is no item's. Refused are another
// width than the dataset's, values that are not finite, and a vector of zeros.
std::vector<float> read_intent_vector(const std::string& file, const Dataset& data);

// "0.3", "0,0.3,1" or "0:1:0.1" (from 0 to 1 in steps of 0.1), each from 0 to 1. Throws
// std::invalid_argument.
std::vector<double> parse_alphas(const std::string& text);

}  // namespace rec
