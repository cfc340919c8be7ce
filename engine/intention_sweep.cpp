#include "engine/intention_sweep.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/draw_kinds.h"
#include "engine/metrics.h"
#include "engine/normal_draw.h"
#include "kernels/sampler/philox.h"

namespace rec {
namespace {

constexpr int64_t kShort = 5, kLong = 20;  // cut-offs, the paper's and everybody's

uint32_t word_of(DrawKind kind, uint64_t seed, uint32_t owner, uint32_t n) {
  return philox(n / 4, owner, 0, uint32_t(kind), uint32_t(seed), uint32_t(seed >> 32)).word[n % 4];
}

// Normally distributed, by Box and Muller: two words a value. normal_draw() makes two values of two
// words; by it the synthetic queries of earlier results would be others.
double normal(uint64_t seed, uint32_t owner, uint32_t n) {
  const double u = in_unit_interval(word_of(DrawKind::intention_noise, seed, owner, 2 * n)),
               v = in_unit_interval(word_of(DrawKind::intention_noise, seed, owner, 2 * n + 1));
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

}  // namespace

std::vector<IntentionTarget> draw_targets(CsrView test, const std::vector<uint8_t>& has_query,
                                          uint64_t seed) {
  require(int64_t(has_query.size()) == test.cols, "intention: one flag an item");
  std::vector<IntentionTarget> targets;
  for (int64_t u = 0; u < test.rows; ++u) {
    std::vector<int32_t> candidates;
    for (int64_t e = 0; e < test.degree(u); ++e)
      if (has_query[size_t(test.row(u)[e])] != 0) candidates.push_back(test.row(u)[e]);
    if (candidates.empty()) continue;
    const uint64_t word = word_of(DrawKind::intention_target, seed, uint32_t(u), 0);
    targets.push_back({int32_t(u), candidates[size_t(word * candidates.size() >> 32)]});
  }
  return targets;
}

void noisy_query(VectorView<const float> z, double cosine, uint64_t seed, int32_t item,
                 float* out) {
  require(z.size > 1, "intention: a synthetic query needs language vectors wider than 1");
  double square = 0, along = 0;
  for (float value : z) square += double(value) * double(value);
  std::vector<double> noise;
  for (int64_t c = 0; c < z.size; ++c) {
    noise.push_back(normal(seed, uint32_t(item), uint32_t(c)));
    along += noise.back() * double(z[c]);
  }
  double across = 0;
  for (int64_t c = 0; c < z.size; ++c) {
    noise[size_t(c)] -= along / square * double(z[c]);
    across += noise[size_t(c)] * noise[size_t(c)];
  }
  const double scale = std::sqrt((1 - cosine * cosine) * square / across);
  for (int64_t c = 0; c < z.size; ++c)
    out[c] = float(cosine * double(z[c]) + scale * noise[size_t(c)]);
}

IntentionPoint measure_intention(IntentionRanker& ranker,
                                 const std::vector<IntentionTarget>& targets,
                                 MatrixView<const float> query, CsrView test, double alpha) {
  std::vector<int32_t> users;
  for (const IntentionTarget& target : targets) users.push_back(target.user);
  const TopLists lists = ranker.rank(users, query, alpha, std::min(kLong, test.cols));
  IntentionPoint point;
  point.alpha = alpha;
  int64_t with_others = 0;
  for (size_t t = 0; t < targets.size(); ++t) {
    const auto [user, target] = targets[t];
    const VectorView<const int32_t> list = lists.items_of(int64_t(t)), relevant{&target, 1};
    const MetricValues at_short = user_metrics(list, relevant, kShort);
    point.hr_5 += at_short[size_t(Metric::hr)];
    point.ndcg_5 += at_short[size_t(Metric::ndcg)];
    point.hr_20 += user_metrics(list, relevant, kLong)[size_t(Metric::hr)];
    std::vector<int32_t> others(test.row(user), test.row(user) + test.degree(user));
    others.erase(std::remove(others.begin(), others.end(), target), others.end());
    if (others.empty()) continue;
    ++with_others;
    point.others_recall_20 +=
        user_metrics(list, {others.data(), int64_t(others.size())}, kLong)[size_t(Metric::recall)];
  }
  const double count = std::max<double>(1, double(targets.size()));
  for (double* mean : {&point.hr_5, &point.ndcg_5, &point.hr_20}) *mean /= count;
  point.others_recall_20 /= std::max<double>(1, double(with_others));
  return point;
}

}  // namespace rec
