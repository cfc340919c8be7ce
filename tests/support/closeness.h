// What "equal" means in a test: a bound per value, derived from the sum that made it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace rec::test {

// A sum in double precision with what is needed to bound the float answer.
struct Sum {
  double value = 0;
  int64_t terms = 0;
  double magnitude = 0;  // sum of |terms|

  void add(double term) {
    value += term;
    magnitude += std::abs(term);
    ++terms;
  }
};

// A sum of n products cannot be trusted further than n roundings, each at most epsilon of what was
// summed; the 4 is room for a different order and for the rounding of the products.
inline double rounding_bound(int64_t terms, double magnitude) {
  return 4.0 * double(std::max<int64_t>(terms, 1)) * std::numeric_limits<float>::epsilon() *
         magnitude;
}
inline double rounding_bound(const Sum& sum) { return rounding_bound(sum.terms, sum.magnitude); }

}  // namespace rec::test
