#include "host/prepare/splitter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "engine/draw_kinds.h"
#include "kernels/sampler/philox.h"

namespace rec {
namespace {

[[noreturn]] void refuse_plan(const std::string& word) {
  throw std::invalid_argument(fmt::format(
      "--split '{}': must be three parts such as 4:3:3, temporal, temporal:8:1:1, leave-one-out, "
      "cold-items or cold-users",
      word));
}

std::array<double, 3> parts_of(const std::string& text, const std::string& word) {
  std::array<double, 3> parts{};
  const char* at = text.data();
  const char* last = text.data() + text.size();
  for (size_t p = 0; p < parts.size(); ++p) {
    const auto [rest, error] = std::from_chars(at, last, parts[p]);
    const bool is_last = p + 1 == parts.size();
    constexpr double kLargest = 1e9;
    if (error != std::errc() || !(parts[p] >= 0) || parts[p] > kLargest ||
        (is_last ? rest != last : rest == last || *rest != ':'))
      refuse_plan(word);
    at = rest + 1;
  }
  if (!(parts[0] > 0)) refuse_plan(word);
  return parts;
}

// A seeded order of a user's n interactions: Fisher-Yates, a draw of 64 bits a place.
void shuffle(std::vector<uint32_t>& lines, uint32_t user, uint64_t seed) {
  for (size_t n = lines.size(); n > 1; --n) {
    const auto words = philox(user, uint32_t(n), 0, uint32_t(DrawKind::split), uint32_t(seed),
                              uint32_t(seed >> 32));
    const uint64_t draw = uint64_t(words.word[0]) << 32 | words.word[1];
    std::swap(lines[n - 1], lines[size_t(draw % n)]);
  }
}

// Numbers 0, 1, 2, ... for those that are used, in their order; -1 for the others.
std::vector<int32_t> numbered(const std::vector<uint8_t>& used, std::vector<int32_t>& back) {
  std::vector<int32_t> number(used.size(), -1);
  for (size_t n = 0; n < used.size(); ++n) {
    if (used[n] == 0) continue;
    number[n] = int32_t(back.size());
    back.push_back(int32_t(n));
  }
  return number;
}

HostCsr matrix_of(const InteractionLog& log, const std::vector<uint8_t>& part, Split which,
                  const std::vector<int32_t>& user_number, const std::vector<int32_t>& item_number,
                  int64_t users, int64_t items) {
  HostCsr m{users, items, std::vector<int64_t>(size_t(users) + 1, 0), {}};
  const auto is_in = [&](size_t n) {
    return part[n] == uint8_t(which) && item_number[size_t(log.item[n])] >= 0 &&
           user_number[size_t(log.user[n])] >= 0;
  };
  for (size_t n = 0; n < part.size(); ++n)
    if (is_in(n)) ++m.row_start[size_t(user_number[size_t(log.user[n])]) + 1];
  std::partial_sum(m.row_start.begin(), m.row_start.end(), m.row_start.begin());
  m.col.resize(size_t(m.row_start.back()));
  std::vector<int64_t> place(m.row_start.begin(), m.row_start.end() - 1);
  for (size_t n = 0; n < part.size(); ++n)
    if (is_in(n))
      m.col[size_t(place[size_t(user_number[size_t(log.user[n])])]++)] =
          item_number[size_t(log.item[n])];
  for (int64_t u = 0; u < users; ++u)
    std::sort(m.col.begin() + m.row_start[size_t(u)], m.col.begin() + m.row_start[size_t(u) + 1]);
  return m;
}

}  // namespace

SplitPlan split_plan(const std::string& word) {
  SplitPlan plan;
  const std::string temporal = "temporal";
  if (word == "leave-one-out") {
    plan.rule = SplitRule::leave_one_out;
  } else if (word.rfind(temporal, 0) == 0) {
    plan.rule = SplitRule::temporal;
    plan.parts = {8, 1, 1};
    if (word.size() > temporal.size()) {
      if (word[temporal.size()] != ':') refuse_plan(word);
      plan.parts = parts_of(word.substr(temporal.size() + 1), word);
    }
  } else {
    plan.parts = parts_of(word, word);
  }
  return plan;
}

std::array<int64_t, 3> shares_of(int64_t n, const std::array<double, 3>& parts) {
  const double sum = parts[0] + parts[1] + parts[2];
  std::array<int64_t, 3> share{};
  std::array<double, 3> rest{};
  int64_t left = n;
  for (size_t p = 0; p < 3; ++p) {
    const double exact = double(n) * parts[p] / sum;
    share[p] = int64_t(exact);
    rest[p] = double(n) * parts[p] - double(share[p]) * sum;  // exact for whole parts
    left -= share[p];
  }
  for (; left > 0; --left) {  // the first of equal remainders
    size_t most = 0;
    for (size_t p = 1; p < 3; ++p)
      if (rest[p] > rest[most]) most = p;
    ++share[most];
    rest[most] = -1;
  }
  if (share[0] == 0 && n > 0) {
    --share[share[2] >= share[1] ? 2 : 1];
    ++share[0];
  }
  return share;
}

SplitLog split(const InteractionLog& log, const SplitPlan& plan) {
  std::vector<uint8_t> part = log.split;
  if (plan.rule != SplitRule::given) {
    part.assign(size_t(log.size()), uint8_t(Split::train));
    const auto [start, line] = lines_of_keys(log.user, log.users.size());
    std::vector<uint32_t> hers;
    for (size_t u = 0; u + 1 < start.size(); ++u) {
      hers.assign(line.begin() + start[u], line.begin() + start[u + 1]);
      if (plan.rule == SplitRule::random)
        shuffle(hers, uint32_t(u), plan.seed);
      else
        std::stable_sort(hers.begin(), hers.end(),
                         [&](uint32_t a, uint32_t b) { return log.time[a] < log.time[b]; });
      const auto n = int64_t(hers.size());
      std::array<int64_t, 3> share = shares_of(n, plan.parts);
      if (plan.rule == SplitRule::leave_one_out) share = {n - (n > 2) - (n > 1), n > 2, n > 1};
      for (int64_t at = share[0]; at < n; ++at)
        part[hers[size_t(at)]] = uint8_t(at < share[0] + share[1] ? Split::valid : Split::test);
    }
  }

  std::vector<uint8_t> is_trained(size_t(log.items.size()), 0);
  for (size_t n = 0; n < part.size(); ++n)
    if (part[n] == uint8_t(Split::train)) is_trained[size_t(log.item[n])] = 1;
  SplitLog result;
  std::vector<uint8_t> has_any(size_t(log.users.size()), 0);
  for (size_t n = 0; n < part.size(); ++n) {
    if (is_trained[size_t(log.item[n])] == 1)
      has_any[size_t(log.user[n])] = 1;
    else
      ++result.without_training;
  }
  const std::vector<int32_t> user_number = numbered(has_any, result.user_of),
                             item_number = numbered(is_trained, result.item_of);
  const auto users = int64_t(result.user_of.size()), items = int64_t(result.item_of.size());
  for (const auto& [which, m] :
       {std::pair{Split::train, &result.train}, std::pair{Split::valid, &result.valid},
        std::pair{Split::test, &result.test}})
    *m = matrix_of(log, part, which, user_number, item_number, users, items);
  return result;
}

}  // namespace rec
