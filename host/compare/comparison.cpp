#include "host/compare/comparison.h"
#include "host/run/model_of_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "kernels/common/check.h"

namespace rec {
namespace {

bool differ_in_seed_alone(const ComparedRun& a, const ComparedRun& b) {
  Config of_b = b.config;
  of_b.seed = a.config.seed;
  of_b.threads = a.config.threads;  // changes no value
  return a.fingerprint == b.fingerprint && a.config.seed != b.config.seed &&
         first_difference(a.config, of_b).empty();
}

SeedGroup group_of(const std::vector<ComparedRun>& runs, std::vector<size_t> members) {
  SeedGroup group;
  group.runs = std::move(members);
  std::vector<std::string> names;
  for (size_t r : group.runs) names.push_back(runs[r].name);
  group.name = names[0];
  if (names.size() > 1) {
    const std::string common = common_name(names);
    group.name = fmt::format("{} ({} seeds)",
                             common.empty() ? model_label(runs[group.runs[0]].config) : common,
                             names.size());
  }
  const size_t cutoffs = runs[0].evaluation.cutoffs.size();
  group.mean.resize(cutoffs);
  group.deviation.resize(cutoffs);
  std::vector<double> values(group.runs.size());
  for (size_t c = 0; c < cutoffs; ++c)
    for (size_t m = 0; m < kAllMetrics.size(); ++m) {
      for (size_t r = 0; r < values.size(); ++r)
        values[r] = runs[group.runs[r]].evaluation.mean[c][m];
      const VectorView<const double> view{values.data(), int64_t(values.size())};
      group.mean[c][m] = mean_of(view);
      group.deviation[c][m] = deviation_of(view);
    }
  return group;
}

std::vector<SeedGroup> groups_by_seed(const std::vector<ComparedRun>& runs) {
  std::vector<std::vector<size_t>> members;
  for (size_t r = 0; r < runs.size(); ++r) {
    const auto joins = [&](const std::vector<size_t>& group) {
      return std::all_of(group.begin(), group.end(),
                         [&](size_t other) { return differ_in_seed_alone(runs[other], runs[r]); });
    };
    const auto at = std::find_if(members.begin(), members.end(), joins);
    if (at == members.end())
      members.push_back({r});
    else
      at->push_back(r);
  }
  std::vector<SeedGroup> groups;
  for (std::vector<size_t>& each : members) groups.push_back(group_of(runs, std::move(each)));
  return groups;
}

// [users]: the mean over the group's runs of each user's value.
std::vector<double> user_values(const std::vector<ComparedRun>& runs, const SeedGroup& group,
                                size_t c, size_t m) {
  std::vector<double> values(runs[0].evaluation.per_user.size(), 0.0);
  for (size_t r : group.runs)
    for (size_t u = 0; u < values.size(); ++u) values[u] += runs[r].evaluation.per_user[u].at[c][m];
  for (double& v : values) v /= double(group.runs.size());
  return values;
}

std::vector<Difference> differences_of(const Comparison& comparison, size_t of, size_t from,
                                       uint64_t seed) {
  const std::vector<int64_t>& cutoffs = comparison.runs[0].evaluation.cutoffs;
  std::vector<Difference> found;
  std::vector<std::vector<double>> columns;
  for (size_t c = 0; c < cutoffs.size(); ++c)
    for (size_t m = 0; m < kAllMetrics.size(); ++m) {
      std::vector<double> column = user_values(comparison.runs, comparison.compared[of], c, m);
      const std::vector<double> base =
          user_values(comparison.runs, comparison.compared[from], c, m);
      for (size_t u = 0; u < column.size(); ++u) column[u] -= base[u];
      const VectorView<const double> view{column.data(), int64_t(column.size())};
      found.push_back({of,
                       from,
                       kAllMetrics[m],
                       cutoffs[c],
                       mean_of(view),
                       {},
                       paired_t_p(view),
                       wilcoxon_p(view)});
      columns.push_back(std::move(column));
    }
  const std::vector<Interval> intervals = bootstrap_intervals(columns, seed);
  for (size_t d = 0; d < found.size(); ++d) found[d].interval = intervals[d];
  return found;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void strip(std::string& text, bool (*unwanted)(char)) {
  while (!text.empty() && unwanted(text.back())) text.pop_back();
}

}  // namespace

Comparison compare(std::vector<ComparedRun> runs, uint64_t seed) {
  require(!runs.empty(), "comparison: at least one run is needed");
  for (const ComparedRun& run : runs)
    require(run.evaluation.cutoffs == runs[0].evaluation.cutoffs &&
                run.evaluation.per_user.size() == runs[0].evaluation.per_user.size(),
            "comparison: all runs need the same users and cut-offs");
  Comparison comparison;
  comparison.runs = std::move(runs);
  comparison.groups = groups_by_seed(comparison.runs);
  comparison.compared = comparison.groups;
  if (comparison.groups.size() == 1) {
    comparison.compared.clear();
    for (size_t r = 0; r < comparison.runs.size(); ++r)
      comparison.compared.push_back(group_of(comparison.runs, {r}));
  }
  for (size_t of = 1; of < comparison.compared.size(); ++of)
    for (const Difference& each : differences_of(comparison, of, 0, seed))
      comparison.differences.push_back(each);
  return comparison;
}

std::vector<std::string> names_of(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    std::filesystem::path folder = std::filesystem::path(path).lexically_normal();
    if (folder.filename().empty()) folder = folder.parent_path();
    names.push_back(folder.filename().string());
  }
  const std::vector<std::string> folders = names;
  for (size_t a = 0; a < names.size(); ++a)
    for (size_t b = 0; b < names.size(); ++b)
      if (folders[a] == folders[b] && paths[a] != paths[b]) names[a] = paths[a];
  for (size_t a = 0; a < names.size(); ++a) {
    const auto before = std::count(paths.begin(), paths.begin() + ptrdiff_t(a), paths[a]);
    if (before > 0) names[a] += fmt::format(" ({})", before + 1);
  }
  return names;
}

std::string common_name(const std::vector<std::string>& names) {
  std::string common = names[0];
  for (const std::string& name : names) {
    size_t length = 0;
    while (length < std::min(common.size(), name.size()) && common[length] == name[length])
      ++length;
    common.resize(length);
  }
  std::string without_seed = common;
  strip(without_seed, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
  strip(without_seed, [](char c) { return c == '=' || c == '-' || c == '_'; });
  if (ends_with(without_seed, "seed")) common = without_seed.substr(0, without_seed.size() - 4);
  strip(common,
        [](char c) { return std::ispunct(static_cast<unsigned char>(c)) != 0 || c == ' '; });
  return common;
}

}  // namespace rec
