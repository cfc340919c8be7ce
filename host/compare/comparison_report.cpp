#include "host/compare/comparison_report.h"
#include "host/run/model_of_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "host/report/html.h"
#include "host/report/text_table.h"
#include "host/run/metrics_json.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kColours = {"#2f6db3", "#b3423a", "#3a8f4d", "#8a5bb0", "#c97a1c",
                                 "#2a9a9a", "#b0477f", "#6b6b2a", "#5a5a5a", "#1a1a1a"};

struct Heading {
  std::string text;
  TextTable table;
};

std::string value_text(double value) { return fmt::format("{:.5f}", value); }

// A row a model, a column a metric at cut-off number c; the best of each column marked.
TextTable metric_table(const std::string& what, const std::vector<int64_t>& cutoffs, size_t c,
                       const std::vector<std::string>& names,
                       const std::vector<std::vector<MetricValues>>& values,
                       const std::vector<std::vector<MetricValues>>& deviations = {}) {
  TextTable table(names.size() + 1);
  table[0].push_back({what});
  for (size_t r = 0; r < names.size(); ++r) table[r + 1].push_back({names[r]});
  for (size_t m = 0; m < kAllMetrics.size(); ++m) {
    table[0].push_back({metric_key(kAllMetrics[m], cutoffs[c])});
    double best = values[0][c][m];
    for (const auto& each : values) best = std::max(best, each[c][m]);
    for (size_t r = 0; r < names.size(); ++r) {
      std::string text = value_text(values[r][c][m]);
      if (!deviations.empty()) text += " ± " + value_text(deviations[r][c][m]);
      table[r + 1].push_back({text, names.size() > 1 && values[r][c][m] == best});
    }
  }
  return table;
}

TextTable difference_table(const Comparison& comparison) {
  TextTable table = {
      {{"model"}, {"metric"}, {"difference"}, {"95% interval"}, {"p, t test"}, {"p, Wilcoxon"}}};
  for (const Difference& d : comparison.differences)
    table.push_back({{comparison.compared[d.of].name},
                     {metric_key(d.metric, d.k)},
                     {fmt::format("{:+.5f}", d.mean)},
                     {fmt::format("{:+.5f} to {:+.5f}", d.interval.low, d.interval.high)},
                     {fmt::format("{:.3g}", d.t_p)},
                     {fmt::format("{:.3g}", d.wilcoxon_p)}});
  return table;
}

// All tables, each under its heading, in the order they are shown.
std::vector<Heading> tables_of(const ComparisonReport& report) {
  const Comparison& comparison = report.comparison;
  const std::vector<int64_t>& cutoffs = comparison.runs[0].evaluation.cutoffs;
  std::vector<std::string> names;
  std::vector<std::vector<MetricValues>> values;
  for (const ComparedRun& run : comparison.runs) {
    names.push_back(run.name);
    values.push_back(run.evaluation.mean);
  }
  std::vector<Heading> tables;
  const auto add_metrics = [&](const std::string& heading, const auto&... table) {
    for (size_t c = 0; c < cutoffs.size(); ++c)
      tables.push_back({c == 0 ? heading : "", metric_table("run", cutoffs, c, table...)});
  };
  add_metrics(report.title, names, values);
  if (comparison.has_seeds()) {
    std::vector<std::string> group_names;
    std::vector<std::vector<MetricValues>> means, deviations;
    for (const SeedGroup& group : comparison.groups) {
      group_names.push_back(group.name);
      means.push_back(group.mean);
      deviations.push_back(group.deviation);
    }
    add_metrics("mean and standard deviation over seeds", group_names, means, deviations);
  }
  if (!comparison.differences.empty())
    tables.push_back(
        {fmt::format("less {}, user by user; two-sided paired tests, bootstrap interval",
                     comparison.compared[0].name),
         difference_table(comparison)});
  for (const ComparedGroup& group : report.groups) {
    std::vector<std::vector<MetricValues>> of_run;
    for (const GroupMean& mean : group.of_run) of_run.push_back(mean.at);
    add_metrics(fmt::format("{}: {} users", group.name, group.of_run[0].users), names, of_run);
  }
  return tables;
}

std::string html_of(const TextTable& table) {
  std::string html = "<table>";
  for (size_t r = 0; r < table.size(); ++r) {
    html += "<tr>";
    for (const Cell& cell : table[r]) {
      const std::string text = escape(cell.text);
      html += r == 0      ? "<th>" + text + "</th>"
              : cell.best ? "<td><b>" + text + "</b></td>"
                          : "<td>" + text + "</td>";
    }
    html += "</tr>";
  }
  return html + "</table>";
}

const char* colour_of(size_t run) { return kColours[run % kColours.size()]; }

// Every run's curve of what points() takes from its lines. Names stand once, above all charts.
template <class Points>
std::string overlaid(const std::string& title, const std::vector<ComparedRun>& runs,
                     Points points) {
  std::vector<Curve> curves;
  for (size_t r = 0; r < runs.size(); ++r)
    curves.push_back({"", colour_of(r), points(runs[r].lines)});
  return chart(title, std::move(curves), XLabels::whole);
}

std::string charts_of(const Comparison& comparison) {
  const std::vector<ComparedRun>& runs = comparison.runs;
  std::string charts = overlaid("training loss by epoch", runs, [](const auto& lines) {
    std::vector<std::pair<double, double>> loss;
    for (const MetricsLine& line : lines) loss.push_back({double(line.epoch), line.loss});
    return loss;
  });
  for (Metric metric : {Metric::recall, Metric::ndcg, Metric::hr})
    for (const bool test : {false, true}) {
      const std::string key = metric_key(metric, runs[0].config.topk[0]);
      charts += overlaid(key + (test ? ", test" : ", validation") + ", by epoch", runs,
                         [&](const auto& lines) { return metric_points(lines, key, test); });
    }
  if (charts.empty()) return "";
  std::string legend;
  for (size_t r = 0; r < runs.size(); ++r)
    if (!runs[r].lines.empty())
      legend += fmt::format("<b style=\"color:{}\">{}</b> ", colour_of(r), escape(runs[r].name));
  return "<h2>Curves</h2><p>" + legend + "</p>" + charts;
}

Json metrics_json(const std::vector<int64_t>& cutoffs, const std::vector<MetricValues>& values) {
  return to_json(named_means(cutoffs, values));
}

}  // namespace

std::string comparison_text(const ComparisonReport& report, bool bold) {
  std::string text;
  for (const Heading& each : tables_of(report))
    text += (text.empty() ? "" : "\n") + (each.text.empty() ? "" : each.text + "\n") +
            aligned(each.table, bold) + "\n";
  return text;
}

std::string comparison_html(const ComparisonReport& report) {
  std::string body;
  for (const Heading& each : tables_of(report))
    body += (each.text.empty() ? "" : "<h2>" + escape(each.text) + "</h2>") + html_of(each.table);
  return html_page("Runs compared", body + charts_of(report.comparison));
}

Json comparison_json(const ComparisonReport& report) {
  const Comparison& comparison = report.comparison;
  const std::vector<int64_t>& cutoffs = comparison.runs[0].evaluation.cutoffs;
  Json json = {{"users", comparison.runs[0].evaluation.users}};
  for (const ComparedRun& run : comparison.runs)
    json["runs"].push_back({{"name", run.name},
                            {"path", run.path},
                            {"model", model_label(run.config)},
                            {"seed", run.config.seed},
                            {"metrics", metrics_json(cutoffs, run.evaluation.mean)}});
  if (comparison.has_seeds())
    for (const SeedGroup& group : comparison.groups) {
      Json names = Json::array();
      for (size_t r : group.runs) names.push_back(comparison.runs[r].name);
      json["over_seeds"].push_back({{"name", group.name},
                                    {"runs", names},
                                    {"mean", metrics_json(cutoffs, group.mean)},
                                    {"deviation", metrics_json(cutoffs, group.deviation)}});
    }
  for (const Difference& d : comparison.differences)
    json["differences"].push_back({{"of", comparison.compared[d.of].name},
                                   {"from", comparison.compared[d.from].name},
                                   {"metric", metric_key(d.metric, d.k)},
                                   {"mean", d.mean},
                                   {"interval", {d.interval.low, d.interval.high}},
                                   {"t_p", d.t_p},
                                   {"wilcoxon_p", d.wilcoxon_p}});
  for (const ComparedGroup& group : report.groups) {
    Json of_run = Json::object();
    for (size_t r = 0; r < group.of_run.size(); ++r)
      of_run[comparison.runs[r].name] = metrics_json(cutoffs, group.of_run[r].at);
    json["groups"].push_back(
        {{"group", group.name}, {"users", group.of_run[0].users}, {"metrics", of_run}});
  }
  return json;
}

}  // namespace rec
