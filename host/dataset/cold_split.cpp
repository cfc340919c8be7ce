#include "host/dataset/cold_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

#include "engine/draw_kinds.h"
#include "kernels/sampler/philox.h"

namespace rec {
namespace {

const char* name_of(Cold cold) { return cold == Cold::items ? "items" : "users"; }

// is_chosen [items or users]; found: how many, among how many.
std::vector<uint8_t> choose(const Dataset& data, Cold cold, double share, uint64_t seed,
                            ColdSplit& found) {
  std::vector<int64_t> degree(size_t(cold == Cold::items ? data.items : data.users), 0);
  for (int64_t u = 0; u < data.users; ++u)
    for (int64_t e = data.train.row_start[size_t(u)]; e < data.train.row_start[size_t(u) + 1]; ++e)
      ++degree[size_t(cold == Cold::items ? int64_t(data.train.col[size_t(e)]) : u)];
  struct Draw {
    uint64_t value;
    uint32_t id;
    auto operator<=>(const Draw&) const = default;
  };
  std::vector<Draw> draws;
  for (uint32_t id = 0; id < degree.size(); ++id) {
    if (degree[id] == 0) continue;
    const auto words = philox(id, uint32_t(cold), 0, uint32_t(DrawKind::cold_split), uint32_t(seed),
                              uint32_t(seed >> 32));
    draws.push_back({uint64_t(words.word[0]) << 32 | words.word[1], id});
  }
  found.among = int64_t(draws.size());
  found.chosen = std::llround(share * double(draws.size()));
  const std::string what = fmt::format("--share {} of {} {} with training interactions", share,
                                       found.among, name_of(cold));
  if (found.chosen < 1) throw std::invalid_argument(what + " chooses none; give a larger one");
  if (found.chosen >= found.among)
    throw std::invalid_argument(what + " leaves nothing to train on; give a smaller one");
  std::sort(draws.begin(), draws.end());
  std::vector<uint8_t> is_chosen(degree.size(), 0);
  for (int64_t n = 0; n < found.chosen; ++n) is_chosen[draws[size_t(n)].id] = 1;
  return is_chosen;
}

std::vector<int32_t> row_of(CsrView m, int64_t r) { return {m.row(r), m.row(r) + m.degree(r)}; }

}  // namespace

void require_cold_share(double share) {
  if (!(share > 0 && share < 1))
    throw std::invalid_argument(fmt::format("--share {}: must be above 0 and below 1", share));
}

ColdSplit cold_split(const Dataset& data, Cold cold, double share, uint64_t seed) {
  require_cold_share(share);
  ColdSplit split;
  const std::vector<uint8_t> is_chosen = choose(data, cold, share, seed, split);
  split.train.cols = split.valid.cols = split.test.cols = data.items;
  for (int64_t u = 0; u < data.users; ++u) {
    std::vector<int32_t> train = row_of(data.train.view(), u), valid = row_of(data.valid.view(), u),
                         test = row_of(data.test.view(), u);
    const auto move = [&](std::vector<int32_t>& from, std::vector<int32_t>& to, auto goes) {
      const auto first = std::stable_partition(from.begin(), from.end(),
                                               [&](int32_t item) { return !goes(item); });
      split.moved += from.end() - first;
      to.insert(to.end(), first, from.end());
      from.erase(first, from.end());
      std::sort(to.begin(), to.end());
    };
    if (cold == Cold::items) {
      const auto goes = [&](int32_t item) { return is_chosen[size_t(item)] == 1; };
      move(train, test, goes);
      move(valid, test, goes);
    } else if (is_chosen[size_t(u)] == 1) {
      move(train, valid, [](int32_t) { return true; });
    }
    add_row(split.train, train);
    add_row(split.valid, valid);
    add_row(split.test, test);
  }
  if (split.train.entries() == 0)
    throw std::invalid_argument(
        fmt::format("--share {}: no interaction is left to train on; give a smaller one", share));
  return split;
}

void take_split(Dataset& data, ColdSplit&& split) {
  data.train = std::move(split.train);
  data.valid = std::move(split.valid);
  data.test = std::move(split.test);
}

}  // namespace rec
