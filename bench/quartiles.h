// What a bench reports of times that were taken several times.
#pragma once
#include <vector>

namespace rec::bench {

struct Quartiles {
  double lower = 0, median = 0, upper = 0;
};

// values: not empty, in any order. Between two values a quartile is interpolated linearly.
Quartiles quartiles(std::vector<double> values);

}  // namespace rec::bench
