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

std::array<double, 3> shares_named(const std::string& text, const std::string& word) {
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

// A seeded order of a user's n interactions: Fisher-Yates, a draw of 64 bits a place, two a block.
void shuffle(std::vector<uint32_t>& lines, uint32_t user, uint64_t seed) {
  PhiloxWords words{};
  for (size_t n = lines.size(), drawn = 0; n > 1; --n, ++drawn) {
    const size_t half = drawn % 2;
    if (half == 0)
      words = philox(user, uint32_t(drawn / 2), 0, uint32_t(DrawKind::split), uint32_t(seed),
                     uint32_t(seed >> 32));
    const uint64_t draw = uint64_t(words.word[2 * half]) << 32 | words.word[2 * half + 1];
    std::swap(lines[n - 1], lines[size_t(draw % n)]);
  }
}

// Those that are marked, ascending.
std::vector<int32_t> marked(const std::vector<uint8_t>& marks) {
  std::vector<int32_t> numbers;
  for (size_t n = 0; n < marks.size(); ++n)
    if (marks[n] == 1) numbers.push_back(int32_t(n));
  return numbers;
}

// Into which split each interaction goes, as Split.
std::vector<uint8_t> parts_of(const InteractionLog& log, const SplitPlan& plan) {
  if (plan.rule == SplitRule::given) return log.split;
  std::vector<uint8_t> part(log.item.size(), uint8_t(Split::train));
  std::vector<uint32_t> hers;  // a user's interactions, counted from her first
  for (int64_t u = 0; u < log.users.size(); ++u) {
    const int64_t first = log.start[size_t(u)], n = log.degree(u);
    hers.resize(size_t(n));
    std::iota(hers.begin(), hers.end(), 0u);
    const int64_t* time = log.time.data() + (log.time.empty() ? 0 : first);
    if (plan.rule == SplitRule::random)
      shuffle(hers, uint32_t(u), plan.seed);
    else
      std::stable_sort(hers.begin(), hers.end(),
                       [&](uint32_t a, uint32_t b) { return time[a] < time[b]; });
    std::array<int64_t, 3> share = shares_of(n, plan.parts);
    if (plan.rule == SplitRule::leave_one_out) share = {n - (n > 2) - (n > 1), n > 2, n > 1};
    for (int64_t at = share[0]; at < n; ++at)
      part[size_t(first + hers[size_t(at)])] =
          uint8_t(at < share[0] + share[1] ? Split::valid : Split::test);
  }
  return part;
}

// The interactions of that part, users and items by their new numbers.
HostCsr matrix_of(const InteractionLog& log, const std::vector<uint8_t>& part, Split which,
                  const std::vector<int32_t>& user_of, const std::vector<int32_t>& item_number,
                  int64_t items) {
  HostCsr m;
  m.cols = items;
  m.col.reserve(size_t(std::count(part.begin(), part.end(), uint8_t(which))));
  std::vector<int32_t> row;
  for (const int32_t u : user_of) {
    row.clear();
    for (auto n = size_t(log.start[size_t(u)]); n < size_t(log.start[size_t(u) + 1]); ++n)
      if (part[n] == uint8_t(which) && item_number[size_t(log.item[n])] >= 0)
        row.push_back(item_number[size_t(log.item[n])]);
    std::sort(row.begin(), row.end());
    add_row(m, row);
  }
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
      plan.parts = shares_named(word.substr(temporal.size() + 1), word);
    }
  } else {
    plan.parts = shares_named(word, word);
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
  const std::vector<uint8_t> part = parts_of(log, plan);
  std::vector<uint8_t> is_trained(size_t(log.items.size()), 0);
  for (size_t n = 0; n < part.size(); ++n)
    if (part[n] == uint8_t(Split::train)) is_trained[size_t(log.item[n])] = 1;
  SplitLog result;
  std::vector<uint8_t> has_any(size_t(log.users.size()), 0);
  for (size_t u = 0; u < has_any.size(); ++u)
    for (auto n = size_t(log.start[u]); n < size_t(log.start[u + 1]); ++n) {
      if (is_trained[size_t(log.item[n])] == 1)
        has_any[u] = 1;
      else
        ++result.without_training;
    }
  result.user_of = marked(has_any);
  result.item_of = marked(is_trained);
  const auto items = int64_t(result.item_of.size());
  std::vector<int32_t> item_number(is_trained.size(), -1);
  for (int64_t i = 0; i < items; ++i) item_number[size_t(result.item_of[size_t(i)])] = int32_t(i);
  for (const auto& [which, m] :
       {std::pair{Split::train, &result.train}, std::pair{Split::valid, &result.valid},
        std::pair{Split::test, &result.test}})
    *m = matrix_of(log, part, which, result.user_of, item_number, items);
  return result;
}

}  // namespace rec
