#include "host/report/report.h"
#include "host/run/model_of_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/formats/atomic_file.h"
#include "host/report/html.h"

namespace rec {
namespace {

std::string html_table(const std::vector<int64_t>& cutoffs, const std::vector<ReportRow>& rows) {
  if (rows.empty()) return "<p>No split to evaluate on.</p>";
  std::string html = "<table><tr><th>model</th>";
  for (const auto& [key, value] : named_means(cutoffs, rows[0].mean))
    html += "<th>" + escape(key) + "</th>";
  html += "</tr>";
  for (const ReportRow& row : rows) {
    html += "<tr><td>" + escape(row.name) + "</td>";
    for (const auto& [key, value] : named_means(cutoffs, row.mean))
      html += fmt::format("<td>{:.5f}</td>", value);
    html += "</tr>";
  }
  return html + "</table>";
}

}  // namespace

std::string metrics_table(const std::vector<int64_t>& cutoffs, const std::vector<ReportRow>& rows) {
  size_t name_width = 5;
  for (const ReportRow& row : rows) name_width = std::max(name_width, row.name.size());
  std::string text;
  for (size_t c = 0; c < cutoffs.size(); ++c) {
    text += fmt::format("{}{:<{}}", c == 0 ? "" : "\n\n", "model", name_width);
    for (Metric metric : kAllMetrics)
      text += fmt::format("  {:>12}", metric_key(metric, cutoffs[c]));
    for (const ReportRow& row : rows) {
      text += fmt::format("\n{:<{}}", row.name, name_width);
      for (double value : row.mean[c]) text += fmt::format("  {:>12.5f}", value);
    }
  }
  return text;
}

void write_report(const RunFolder& run, const Dataset& data, const Config& config,
                  const std::vector<MetricsLine>& lines, const std::vector<ReportRow>& rows) {
  std::vector<std::pair<double, double>> loss;
  for (const MetricsLine& line : lines) loss.push_back({double(line.epoch), line.loss});
  std::string html = html_table(config.topk, rows);
  html += chart("training loss by epoch", {{"loss", "#b3423a", loss}}, XLabels::whole);
  for (Metric metric : {Metric::recall, Metric::ndcg, Metric::hr}) {
    const std::string key = metric_key(metric, config.topk[0]);
    html += chart(key + " by epoch",
                  {{"validation", "#2f6db3", metric_points(lines, key, false)},
                   {"test", "#3a8f4d", metric_points(lines, key, true)}},
                  XLabels::whole);
  }
  html += fmt::format(
      "<h2>Data</h2><p>{} users, {} items, {} train / {} valid / {} test interactions, density "
      "{:.3g}, language "
      "width {}, fingerprint {}.</p>",
      data.users, data.items, data.train.entries(), data.valid.entries(), data.test.entries(),
      double(data.train.entries()) / double(data.users) / double(data.items), data.language.width(),
      data.fingerprint);
  html += "<h2>Settings</h2><pre>" + escape(to_toml(config)) + "</pre>";
  write_whole_file(run.report_file(), html_page(model_label(config) + " on " + data.name, html));
}

}  // namespace rec
