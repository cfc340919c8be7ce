// Whether two models differ, by the differences of their users' values: the paired tests and the
// bootstrap. A difference is a user's value of one model less hers of the other.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/common/views.h"

namespace rec {

double mean_of(VectorView<const double> values);  // 0 of none
// With n - 1; 0 of fewer than two.
double deviation_of(VectorView<const double> values);

// Two-sided p-value of the paired t test: t = mean / (deviation / sqrt(n)), n - 1 degrees of freedom.
// 1 where nothing speaks for a difference: all 0, or fewer than two.
double paired_t_p(VectorView<const double> differences);

// Two-sided p-value of Wilcoxon's signed-rank test. Differences of 0 are left out and equal
// magnitudes share their mean rank. Exact for up to 50 differences, none of them 0 and no two of
// equal magnitude, and for up to 13 of any kind; else by the normal distribution with the variance
// corrected for ties, without continuity correction. 1 where all are 0. As scipy.stats.wilcoxon.
double wilcoxon_p(VectorView<const double> differences);

struct Interval {
  double low = 0, high = 0;
};
// 95% intervals of the means of several columns of differences, over resamples of the users: the
// percentile bootstrap. columns[c] [users]. All columns see the same resamples. Draws are Philox
// keyed by (seed, resample, draw).
std::vector<Interval> bootstrap_intervals(const std::vector<std::vector<double>>& columns,
                                          uint64_t seed);

}  // namespace rec
