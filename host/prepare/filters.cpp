#include "host/prepare/filters.h"

#include <algorithm>
#include <numeric>
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
  // Lines by user, then by item, each in the order of the source.
  std::vector<int64_t> end = counts_of(log.user, log.users.size());
  std::partial_sum(end.begin(), end.end(), end.begin());
  std::vector<int64_t> begin(end.size());
  for (size_t u = 0; u < end.size(); ++u) begin[u] = u == 0 ? 0 : end[u - 1];
  std::vector<uint32_t> line(log.user.size());
  {
    std::vector<int64_t> place = begin;
    for (size_t n = 0; n < log.user.size(); ++n)
      line[size_t(place[size_t(log.user[n])]++)] = uint32_t(n);
  }
  std::vector<uint8_t> stays(log.user.size(), 1);
  for (size_t u = 0; u < end.size(); ++u) {
    const auto first = line.begin() + begin[u], last = line.begin() + end[u];
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
  // Users and items as nodes: whoever falls below takes one from each of the others on his lines.
  const int64_t users = log.users.size(), nodes = users + log.items.size();
  const auto node_of_item = [&](size_t n) { return users + log.item[n]; };
  std::vector<int64_t> start(size_t(nodes) + 1, 0);
  for (size_t n = 0; n < log.user.size(); ++n) {
    ++start[size_t(log.user[n]) + 1];
    ++start[size_t(node_of_item(n)) + 1];
  }
  std::vector<int64_t> left(start.begin() + 1, start.end());
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<uint32_t> line(size_t(start.back()));
  {
    std::vector<int64_t> place(start.begin(), start.end() - 1);
    for (size_t n = 0; n < log.user.size(); ++n)
      for (const int64_t node : {int64_t(log.user[n]), node_of_item(n)})
        line[size_t(place[size_t(node)]++)] = uint32_t(n);
  }
  const auto is_below = [&](int64_t node) {
    return left[size_t(node)] < (node < users ? of_user : of_item);
  };
  std::vector<int64_t> gone;
  std::vector<uint8_t> is_gone(size_t(nodes), 0);
  const auto drop = [&](int64_t node) {
    if (is_gone[size_t(node)] == 1 || !is_below(node)) return;
    is_gone[size_t(node)] = 1;
    gone.push_back(node);
  };
  for (int64_t node = 0; node < nodes; ++node) drop(node);
  for (size_t next = 0; next < gone.size(); ++next) {
    const int64_t node = gone[next];
    for (int64_t e = start[size_t(node)]; e < start[size_t(node) + 1]; ++e) {
      const uint32_t n = line[size_t(e)];
      const int64_t other = node < users ? node_of_item(n) : int64_t(log.user[n]);
      --left[size_t(other)];
      drop(other);
    }
  }
  return log.keep_if([&](int64_t n) {
    return is_gone[size_t(log.user[size_t(n)])] == 0 &&
           is_gone[size_t(node_of_item(size_t(n)))] == 0;
  });
}

}  // namespace rec
