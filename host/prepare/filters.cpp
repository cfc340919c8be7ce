#include "host/prepare/filters.h"

#include <utility>
#include <vector>

#include "engine/host_csr.h"

namespace rec {
namespace {

std::vector<int64_t> counts_of_items(const InteractionLog& log) {
  std::vector<int64_t> count(size_t(log.items.size()), 0);
  for (const int32_t item : log.item) ++count[size_t(item)];
  return count;
}

}  // namespace

int64_t drop_repeats(InteractionLog& log, Dedup which) {
  // Of each item the user who had it last, and which interaction of hers stays so far.
  std::vector<int32_t> had_by(size_t(log.items.size()), -1);
  std::vector<size_t> chosen(size_t(log.items.size()), 0);
  std::vector<uint8_t> stays(log.item.size(), 1);
  for (int32_t u = 0; u < int32_t(log.users.size()); ++u) {
    for (auto n = size_t(log.start[size_t(u)]); n < size_t(log.start[size_t(u) + 1]); ++n) {
      const auto item = size_t(log.item[n]);
      size_t& best = chosen[item];
      if (had_by[item] != u) {
        had_by[item] = u;
        best = n;
        continue;
      }
      if (which == Dedup::sum) log.rating[best] += log.rating[n];
      const bool is_earlier = !log.time.empty() && log.time[n] < log.time[best];
      const bool replaces = which == Dedup::first  ? is_earlier
                            : which == Dedup::last ? !is_earlier
                                                   : false;
      stays[replaces ? best : n] = 0;
      if (replaces) best = n;
    }
  }
  return log.keep_if([&](int64_t, int64_t n) { return stays[size_t(n)] == 1; });
}

int64_t drop_ratings_below(InteractionLog& log, double least) {
  return log.keep_if([&](int64_t, int64_t n) { return log.rating[size_t(n)] >= least; });
}

int64_t drop_rare_items(InteractionLog& log, int64_t least) {
  const std::vector<int64_t> count = counts_of_items(log);
  return log.keep_if(
      [&](int64_t, int64_t n) { return count[size_t(log.item[size_t(n)])] >= least; });
}

int64_t drop_rare_users(InteractionLog& log, int64_t least) {
  // keep_if moves the starts of users that it is done with.
  std::vector<int64_t> count;
  for (int64_t u = 0; u < log.users.size(); ++u) count.push_back(log.degree(u));
  return log.keep_if([&](int64_t u, int64_t) { return count[size_t(u)] >= least; });
}

int64_t keep_core(InteractionLog& log, int64_t of_user, int64_t of_item) {
  const CsrView items_of_user{log.users.size(), log.items.size(), log.start.data(),
                              log.item.data()};
  const HostCsr users_of_item = transpose(items_of_user);
  struct Side {
    CsrView others;  // of each id: whom it has interactions with
    int64_t least;
    std::vector<int64_t> left;  // interactions that are not gone
    std::vector<uint8_t> is_gone;
  };
  const auto side = [](CsrView others, int64_t least) {
    Side made{others, least, {}, std::vector<uint8_t>(size_t(others.rows), 0)};
    for (int64_t id = 0; id < others.rows; ++id) made.left.push_back(others.degree(id));
    return made;
  };
  Side sides[] = {side(items_of_user, of_user), side(users_of_item.view(), of_item)};
  // Whoever falls below goes, and takes one from each of those on the other side.
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
    const CsrView others = sides[s].others;
    for (int64_t e = 0; e < others.degree(id); ++e) {
      const int32_t other = others.row(id)[e];
      --sides[1 - s].left[size_t(other)];
      drop_if_below(1 - s, other);
    }
  }
  return log.keep_if([&](int64_t u, int64_t n) {
    return sides[0].is_gone[size_t(u)] == 0 && sides[1].is_gone[size_t(log.item[size_t(n)])] == 0;
  });
}

}  // namespace rec
