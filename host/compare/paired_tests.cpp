#include "host/compare/paired_tests.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "engine/draw_kinds.h"
#include "kernels/sampler/philox.h"
#include "kernels/sampler/sampler_draws.h"

namespace rec {
namespace {

// Differences; beyond, the normal distribution is taken for the sum of ranks.
constexpr int64_t kLargestExact = 50, kLargestExactWithTies = 13;
constexpr uint32_t kResamples = 2000;
constexpr double kTail = 0.025;

// Two-sided, from the sums that the ranks have under every choice of signs. twice_rank: two times each
// rank, whole numbers with ties too; smaller: the smaller of the two sums of ranks, times two.
double exact_p(const std::vector<int64_t>& twice_rank, int64_t smaller) {
  std::vector<double> sums(1, 1.0);  // of the signs so far: P(sum = index)
  for (int64_t rank : twice_rank) {
    std::vector<double> more(sums.size() + size_t(rank), 0.0);
    for (size_t sum = 0; sum < sums.size(); ++sum) {
      more[sum] += 0.5 * sums[sum];
      more[sum + size_t(rank)] += 0.5 * sums[sum];
    }
    sums = std::move(more);
  }
  return std::min(1.0, 2 * std::accumulate(sums.begin(), sums.begin() + smaller + 1, 0.0));
}

// Of sorted values, with linear interpolation between neighbours.
double quantile(const std::vector<double>& sorted, double part) {
  const double place = part * double(sorted.size() - 1);
  const auto below = size_t(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - double(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double mean_of(VectorView<const double> values) {
  return values.size == 0
             ? 0.0
             : std::accumulate(values.begin(), values.end(), 0.0) / double(values.size);
}

double deviation_of(VectorView<const double> values) {
  if (values.size < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / double(values.size - 1));
}

double paired_t_p(VectorView<const double> differences) {
  const int64_t n = differences.size;
  const double mean = mean_of(differences), deviation = deviation_of(differences);
  if (n < 2 || mean == 0) return 1;
  if (deviation == 0) return 0;
  const double t = mean / (deviation / std::sqrt(double(n)));
  const boost::math::students_t distribution(double(n - 1));
  return 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(t)));
}

double wilcoxon_p(VectorView<const double> differences) {
  std::vector<double> nonzero;
  std::copy_if(differences.begin(), differences.end(), std::back_inserter(nonzero),
               [](double d) { return d != 0; });
  if (nonzero.empty()) return 1;
  std::sort(nonzero.begin(), nonzero.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  const auto n = static_cast<int64_t>(nonzero.size());
  std::vector<int64_t> twice_rank;
  double positive = 0;  // the sum of the positive differences' ranks
  double tied = 0;      // of t^3 - t over the ties
  for (int64_t first = 0; first < n;) {
    int64_t after = first;
    while (after < n && std::abs(nonzero[size_t(after)]) == std::abs(nonzero[size_t(first)]))
      ++after;
    for (int64_t k = first; k < after; ++k) {
      twice_rank.push_back(first + 1 + after);
      if (nonzero[size_t(k)] > 0) positive += 0.5 * double(twice_rank.back());
    }
    const double t = double(after - first);
    tied += t * t * t - t;
    first = after;
  }
  const double count = double(n), all = count * (count + 1) / 2;
  const double smaller = std::min(positive, all - positive);
  const bool plain = tied == 0 && n == differences.size;
  if (differences.size <= (plain ? kLargestExact : kLargestExactWithTies))
    return exact_p(twice_rank, int64_t(2 * smaller));
  const double variance = (count * (count + 1) * (2 * count + 1) - tied / 2) / 24;
  return std::erfc((all / 2 - smaller) / std::sqrt(2 * variance));
}

std::vector<Interval> bootstrap_intervals(const std::vector<std::vector<double>>& columns,
                                          uint64_t seed) {
  std::vector<Interval> intervals(columns.size());
  if (columns.empty() || columns[0].empty()) return intervals;
  const size_t width = columns.size(), users = columns[0].size();
  std::vector<double> by_user(users * width);  // a user's values lie together
  for (size_t c = 0; c < width; ++c)
    for (size_t u = 0; u < users; ++u) by_user[u * width + c] = columns[c][u];
  std::vector<std::vector<double>> means(width, std::vector<double>(kResamples));
#pragma omp parallel for
  for (uint32_t resample = 0; resample < kResamples; ++resample) {
    std::vector<double> sum(width, 0.0);
    PhiloxWords words{};
    for (uint32_t draw = 0; draw < users; ++draw) {
      if (draw % 4 == 0)
        words = philox(draw / 4, resample, 0, uint32_t(DrawKind::bootstrap), uint32_t(seed),
                       uint32_t(seed >> 32));
      const double* drawn =
          &by_user[size_t(uniform_below(words.word[draw % 4], int32_t(users))) * width];
      for (size_t c = 0; c < width; ++c) sum[c] += drawn[c];
    }
    for (size_t c = 0; c < width; ++c) means[c][resample] = sum[c] / double(users);
  }
  for (size_t c = 0; c < width; ++c) {
    std::sort(means[c].begin(), means[c].end());
    intervals[c] = {quantile(means[c], kTail), quantile(means[c], 1 - kTail)};
  }
  return intervals;
}

}  // namespace rec
