// Paired tests on differences few enough to work out by hand, and on their plain definitions.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "host/compare/paired_tests.h"

namespace rec::test {
namespace {

VectorView<const double> view_of(const std::vector<double>& values) {
  return {values.data(), int64_t(values.size())};
}

// By trying all signs: how often a sum of ranks is at least as far from its middle. Mean ranks for
// equal magnitudes, zeros left out.
double wilcoxon_by_trying(std::vector<double> differences) {
  differences.erase(std::remove(differences.begin(), differences.end(), 0.0), differences.end());
  std::vector<double> rank;
  for (double d : differences) {
    double below = 0, equal = 0;
    for (double other : differences) {
      below += std::abs(other) < std::abs(d) ? 1 : 0;
      equal += std::abs(other) == std::abs(d) ? 1 : 0;
    }
    rank.push_back(below + (equal + 1) / 2);
  }
  const double middle = std::accumulate(rank.begin(), rank.end(), 0.0) / 2;
  const auto sum_of_positive = [&](auto positive) {
    double sum = 0;
    for (size_t r = 0; r < rank.size(); ++r) sum += positive(r) ? rank[r] : 0.0;
    return sum;
  };
  const double seen = sum_of_positive([&](size_t r) { return differences[r] > 0; });
  int64_t as_far = 0;
  for (uint64_t signs = 0; signs < uint64_t{1} << rank.size(); ++signs) {
    const double sum = sum_of_positive([&](size_t r) { return (signs >> r & 1) != 0; });
    if (std::abs(sum - middle) >= std::abs(seen - middle)) ++as_far;
  }
  return double(as_far) / double(uint64_t{1} << rank.size());
}

}  // namespace

TEST_CASE("paired t test: one and two degrees of freedom by their closed forms") {
  // n = 2: t = 3 with one degree of freedom, Cauchy: p = 1 - 2/pi atan(t).
  CHECK(paired_t_p(view_of({1, 2})) == Approx(1 - 2 / M_PI * std::atan(3.0)).epsilon(1e-13));
  // n = 3: mean 2, deviation 1, t = 2 sqrt(3); two degrees: p = 1 - t / sqrt(t^2 + 2).
  const double t = 2 * std::sqrt(3.0);
  CHECK(paired_t_p(view_of({1, 2, 3})) == Approx(1 - t / std::sqrt(t * t + 2)).epsilon(1e-13));
  CHECK(paired_t_p(view_of({-1, -2, -3})) == paired_t_p(view_of({1, 2, 3})));
}

TEST_CASE("paired tests: nothing that differs, and nothing that varies") {
  for (const std::vector<double>& none :
       {std::vector<double>{}, std::vector<double>{0}, std::vector<double>(100, 0.0)}) {
    CHECK(paired_t_p(view_of(none)) == 1);
    CHECK(wilcoxon_p(view_of(none)) == 1);
  }
  CHECK(paired_t_p(view_of({0.25, -0.25})) == 1);
  CHECK(paired_t_p(view_of({0.5, 0.5, 0.5})) == 0);
}

TEST_CASE("Wilcoxon: exact, against trying all signs") {
  // All positive: 2 of 2^5 sign patterns are as far out.
  CHECK(wilcoxon_p(view_of({1, 2, 3, 4, 5})) == Approx(2.0 / 32).epsilon(1e-15));
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal(0.3, 1);
  for (size_t n : {1, 2, 3, 7, 12}) {
    std::vector<double> differences(n);
    for (double& d : differences) d = normal(random);
    CHECK(wilcoxon_p(view_of(differences)) ==
          Approx(wilcoxon_by_trying(differences)).epsilon(1e-13));
  }
}

TEST_CASE("Wilcoxon: ties and zeros, exact against trying all signs") {
  for (const std::vector<double>& differences :
       {std::vector<double>{0, 1, -1, 2, 0, 2, 2}, std::vector<double>{1, 1, 1, -1},
        std::vector<double>{0, 3}, std::vector<double>{-2, 2},
        std::vector<double>{5, -1, 3, 3, -3, 0, 0, 1, 1, 2, 2, 2, 4}}) {
    CAPTURE(differences.size());
    CHECK(wilcoxon_p(view_of(differences)) ==
          Approx(wilcoxon_by_trying(differences)).epsilon(1e-13));
  }
}

TEST_CASE("Wilcoxon: ties share their mean rank and zeros are left out where there are many") {
  // 0 eight times, magnitude 1 twice, 2 four times: ranks 1.5 1.5 4.5 4.5 4.5 4.5, positive
  // 1.5 + 3 * 4.5 = 15 of 21. Variance (6 * 7 * 13 - ((2^3 - 2) + (4^3 - 4)) / 2) / 24.
  std::vector<double> differences(8, 0.0);
  for (double d : {1, -1, 2, 2, -2, 2}) differences.push_back(d);
  const double z = (10.5 - 6) / std::sqrt((546 - 33) / 24.0);
  CHECK(wilcoxon_p(view_of(differences)) == Approx(std::erfc(z / std::sqrt(2.0))).epsilon(1e-13));
}

TEST_CASE("bootstrap: intervals of means") {
  const std::vector<double> constant(40, 0.25), none(40, 0.0);
  std::vector<double> spread(400), negated(400);
  std::mt19937_64 random(13);
  std::normal_distribution<double> normal(1, 2);
  for (size_t u = 0; u < spread.size(); ++u) negated[u] = -(spread[u] = normal(random));
  const std::vector<Interval> fixed = bootstrap_intervals({constant, none}, 3);
  CHECK(fixed[0].low == 0.25);
  CHECK(fixed[0].high == 0.25);
  CHECK(fixed[1].low == 0);
  CHECK(fixed[1].high == 0);
  const std::vector<Interval> got = bootstrap_intervals({spread, negated}, 3);
  // The same resamples: the interval of the negated values is the negated interval.
  CHECK(got[1].low == Approx(-got[0].high).epsilon(1e-13));
  CHECK(got[1].high == Approx(-got[0].low).epsilon(1e-13));
  // Means of resamples are nearly normal: 1.96 standard errors, of which the ends of 2,000 resamples
  // are known to about 0.06 (sqrt(0.025 * 0.975 / 2000) over the density 0.058); 6 times that.
  const double error = deviation_of(view_of(spread)) / std::sqrt(400.0);
  const double mean = mean_of(view_of(spread));
  CHECK(std::abs(got[0].low - (mean - 1.96 * error)) < 6 * 0.06 * error);
  CHECK(std::abs(got[0].high - (mean + 1.96 * error)) < 6 * 0.06 * error);
  CHECK(bootstrap_intervals({spread}, 3)[0].low == got[0].low);
  CHECK(bootstrap_intervals({spread}, 4)[0].low != got[0].low);
  CHECK(bootstrap_intervals({}, 3).empty());
}

TEST_CASE("mean and deviation") {
  CHECK(mean_of(view_of({1, 2, 6})) == 3);
  CHECK(deviation_of(view_of({1, 2, 6})) == Approx(std::sqrt(7.0)).epsilon(1e-15));
  CHECK(deviation_of(view_of({5})) == 0);
  CHECK(mean_of(view_of({})) == 0);
}

}  // namespace rec::test
