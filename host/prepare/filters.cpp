#include "host/prepare/filters.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace rec {
namespace {

std::vector<int64_t> counts_of(const std::vector<int32_t>& of, int64_t kinds) {
  std::vector<int64_t> count(size_t(kinds), 0);
  for (const int32_t each : of) ++count[size_t(each)];
  return count;
}

int64_t drop_rare(InteractionLog& log, const std::vector<int32_t>& of, int64_t kinds,
                  int64_t least) {
  const std::vector<int64_t> count = counts_of(of, kinds);
  return log.keep_if([&](int64_t n) { return count[size_t(of[size_t(n)])] >= least; });
}

}  // namespace

int64_t drop_repeats(InteractionLog& log, Dedup which) {
  LinesOfKeys by_user = lines_of_keys(log.user, log.users.size());
  std::vector<uint8_t> stays(log.user.size(), 1);
  for (size_t u = 0; u + 1 < by_user.start.size(); ++u) {
    const auto first = by_user.line.begin() + by_user.start[u],
               last = by_user.line.begin() + by_user.start[u + 1];
    std::sort(first, last, [&](uint32_t a, uint32_t b) {
      return log.item[a] != log.item[b] ? log.item[a] < log.item[b] : a < b;
    });
    for (auto at = first; at != last;) {
      auto next = at;
      uint32_t chosen = *at;
      double sum = 0;
      for (; next != last && log.item[*next] == log.item[*at]; ++next) {
        const bool later = log.time.empty() || log.time[*next] >= log.time[chosen];
        const bool earlier = !log.time.empty() && log.time[*next] < log.time[chosen];
        if (which == Dedup::last ? later : which == Dedup::first && earlier) chosen = *next;
        if (which == Dedup::sum) sum += log.rating[*next];
        stays[*next] = 0;
      }
      stays[chosen] = 1;
      if (which == Dedup::sum) log.rating[chosen] = sum;
      at = next;
    }
  }
  return log.keep_if([&](int64_t n) { return stays[size_t(n)] == 1; });
}

int64_t drop_ratings_below(InteractionLog& log, double least) {
  return log.keep_if([&](int64_t n) { return log.rating[size_t(n)] >= least; });
}

int64_t drop_rare_items(InteractionLog& log, int64_t least) {
  return drop_rare(log, log.item, log.items.size(), least);
}
int64_t drop_rare_users(InteractionLog& log, int64_t least) {
  return drop_rare(log, log.user, log.users.size(), least);
}

int64_t keep_core(InteractionLog& log, int64_t of_user, int64_t of_item) {
  struct Side {
    const std::vector<int32_t>& of;
    int64_t least;
    LinesOfKeys lines;
    std::vector<int64_t> left;  // interactions that are not gone
    std::vector<uint8_t> is_gone;
  };
  const auto side = [](const std::vector<int32_t>& of, int64_t kinds, int64_t least) {
    return Side{of, least, lines_of_keys(of, kinds), counts_of(of, kinds),
                std::vector<uint8_t>(size_t(kinds), 0)};
  };
  Side sides[] = {side(log.user, log.users.size(), of_user),
                  side(log.item, log.items.size(), of_item)};
  // Whoever falls below goes, and takes one from each on the other side of his lines.
  std::vector<std::pair<int, int32_t>> gone;
  const auto drop_if_below = [&](int s, int32_t id) {
    Side& own = sides[s];
    if (own.is_gone[size_t(id)] == 1 || own.left[size_t(id)] >= own.least) return;
    own.is_gone[size_t(id)] = 1;
    gone.emplace_back(s, id);
  };
  for (int s : {0, 1})
    for (size_t id = 0; id < sides[s].left.size(); ++id) drop_if_below(s, int32_t(id));
  for (size_t next = 0; next < gone.size(); ++next) {
    const auto [s, id] = gone[next];
    const LinesOfKeys& lines = sides[s].lines;
    for (int64_t e = lines.start[size_t(id)]; e < lines.start[size_t(id) + 1]; ++e) {
      const int32_t other = sides[1 - s].of[lines.line[size_t(e)]];
      --sides[1 - s].left[size_t(other)];
      drop_if_below(1 - s, other);
    }
  }
  return log.keep_if([&](int64_t n) {
    return sides[0].is_gone[size_t(log.user[size_t(n)])] == 0 &&
           sides[1].is_gone[size_t(log.item[size_t(n)])] == 0;
  });
}

}  // namespace rec
