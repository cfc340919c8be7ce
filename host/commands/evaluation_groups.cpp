#include "host/commands/evaluation_groups.h"

#include <fmt/format.h>

#include <algorithm>

namespace rec {
namespace {

// The smallest count of each quarter of the evaluated users, without repeats.
std::vector<double> quarter_starts(const Evaluation& evaluation,
                                   const std::vector<double>& count_of_user) {
  std::vector<double> counts;
  for (const UserResult& result : evaluation.per_user)
    counts.push_back(count_of_user[size_t(result.user)]);
  std::sort(counts.begin(), counts.end());
  std::vector<double> starts;
  for (size_t q = 0; q < 4; ++q) starts.push_back(counts[q * counts.size() / 4]);
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  return starts;
}

void add_quarters(const Evaluation& evaluation, const std::string& what,
                  const std::vector<double>& count_of_user, std::vector<Group>& groups) {
  const std::vector<double> starts = quarter_starts(evaluation, count_of_user);
  for (size_t g = 0; g < starts.size(); ++g) {
    const double low = starts[g];
    const bool last = g + 1 == starts.size();
    const auto holds = [&](int32_t user) {
      const double count = count_of_user[size_t(user)];
      return count >= low && (last || count < starts[g + 1]);
    };
    const std::string range = last ? fmt::format("{:g} and more", low)
                                   : fmt::format("{:g} to below {:g}", low, starts[g + 1]);
    groups.push_back({what + " " + range, mean_over(evaluation, holds)});
  }
}

std::vector<double> history_lengths(const Dataset& data) {
  std::vector<double> length;
  for (int64_t u = 0; u < data.users; ++u) length.push_back(double(data.train.view().degree(u)));
  return length;
}

std::vector<double> mean_popularities(const Dataset& data, CsrView truth) {
  std::vector<double> count(size_t(data.items)), mean(size_t(data.users));
  for (int32_t item : data.train.col) ++count[size_t(item)];
  for (int64_t u = 0; u < data.users; ++u)
    for (int64_t e = 0; e < truth.degree(u); ++e)
      mean[size_t(u)] += count[size_t(truth.row(u)[e])] / double(truth.degree(u));
  return mean;
}

}  // namespace

std::vector<Group> make_groups(const Dataset& data, Split split, const Evaluation& evaluation) {
  std::vector<Group> groups;
  if (evaluation.per_user.empty()) return groups;
  add_quarters(evaluation, "history", history_lengths(data), groups);
  add_quarters(evaluation, "relevant items' mean popularity",
               mean_popularities(data, data.split(split).view()), groups);
  return groups;
}

}  // namespace rec
