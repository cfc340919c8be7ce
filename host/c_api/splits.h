// The splits that rec.h has as bits.
#pragma once
#include <cstdint>
#include <vector>

#include "host/c_api/rec.h"
#include "host/dataset/dataset.h"

namespace rec::c_api {

// Throw std::invalid_argument for bits that are no split's.
Split split_of(rec_split split);
std::vector<Split> splits_of(uint32_t bits);

}  // namespace rec::c_api
