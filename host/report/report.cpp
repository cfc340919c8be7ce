#include "host/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/formats/atomic_file.h"
#include "host/version.h"

namespace rec {
namespace {

std::string escape(const std::string& text) {
  std::string safe;
  for (char c : text) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else
      safe += c;
  }
  return safe;
}

struct Curve {
  std::string name;
  const char* colour;
  std::vector<std::pair<double, double>> points;  // epoch, value
};

// An SVG line chart with its own axes; curves without points are left out.
std::string chart(const std::string& title, std::vector<Curve> curves) {
  constexpr double kWidth = 560, kHeight = 260, kLeft = 62, kRight = 14, kTop = 30, kBottom = 34;
  curves.erase(
      std::remove_if(curves.begin(), curves.end(), [](const Curve& c) { return c.points.empty(); }),
      curves.end());
  if (curves.empty()) return "";
  double x0 = std::numeric_limits<double>::max(), x1 = -x0, y0 = x0, y1 = -x0;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points) {
      x0 = std::min(x0, x);
      x1 = std::max(x1, x);
      y0 = std::min(y0, y);
      y1 = std::max(y1, y);
    }
  if (x1 == x0) x1 = x0 + 1;
  const double room = y1 > y0 ? 0.05 * (y1 - y0) : 0.5;
  y0 -= room;
  y1 += room;
  const auto px = [&](double x) {
    return kLeft + (x - x0) / (x1 - x0) * (kWidth - kLeft - kRight);
  };
  const auto py = [&](double y) {
    return kHeight - kBottom - (y - y0) / (y1 - y0) * (kHeight - kTop - kBottom);
  };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
                                kWidth, kHeight, escape(title));
  svg += fmt::format("<text x=\"{}\" y=\"18\" class=\"title\">{}</text>", kLeft, escape(title));
  constexpr int kTicks = 4;
  double last_x = x0 - 1;
  for (int t = 0; t <= kTicks; ++t) {
    const double y = y0 + (y1 - y0) * t / kTicks, x = std::round(x0 + (x1 - x0) * t / kTicks);
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"grid\"/>",
                       kLeft, kWidth - kRight, py(y), py(y));
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" class=\"y\">{:.4g}</text>", kLeft - 6,
                       py(y) + 4, y);
    if (x == last_x) continue;  // few epochs have fewer labels
    last_x = x;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"x\">{:.0f}</text>", px(x), kHeight - 14,
                       x);
  }
  double legend = kWidth - kRight;
  for (auto curve = curves.rbegin(); curve != curves.rend(); ++curve) {
    std::string points;
    for (const auto& [x, y] : curve->points) points += fmt::format("{:.1f},{:.1f} ", px(x), py(y));
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>",
                       curve->colour, points);
    svg += fmt::format("<text x=\"{}\" y=\"18\" class=\"legend\" fill=\"{}\">{}</text>", legend,
                       curve->colour, escape(curve->name));
    legend -= 9.0 * double(curve->name.size()) + 12;
  }
  return svg + "</svg>";
}

std::vector<std::pair<double, double>> metric_points(const std::vector<MetricsLine>& lines,
                                                     const std::string& key, bool test) {
  std::vector<std::pair<double, double>> points;
  for (const MetricsLine& line : lines)
    for (const auto& [name, value] : test ? line.test : line.valid)
      if (name == key) points.push_back({double(line.epoch), value});
  return points;
}

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

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 "
    "1em;color:#1a1a1a}"
    "svg{width:560px;max-width:100%;margin:0 12px 12px 0;border:1px solid #ddd}"
    "table{border-collapse:collapse;margin:1em "
    "0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}"
    "td,th{border:1px solid #ddd;padding:3px "
    "9px;text-align:right}td:first-child,th:first-child{text-align:left}"
    "pre{background:#f6f6f6;padding:1em;overflow-x:auto}.grid{stroke:#e5e5e5}text{font-size:12px;"
    "fill:#555}"
    ".title{font-size:14px;fill:#1a1a1a}.y{text-anchor:end}.x{text-anchor:middle}.legend{text-"
    "anchor:end}";

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
  std::string html = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                     escape(config.model + " on " + data.name) + "</title><style>" + kStyle +
                     "</style></head><body>";
  html +=
      "<h1>" + escape(config.model + " on " + data.name) + "</h1>" + html_table(config.topk, rows);
  html += chart("training loss by epoch", {{"loss", "#b3423a", loss}});
  for (Metric metric : {Metric::recall, Metric::ndcg, Metric::hr}) {
    const std::string key = metric_key(metric, config.topk[0]);
    html += chart(key + " by epoch", {{"validation", "#2f6db3", metric_points(lines, key, false)},
                                      {"test", "#3a8f4d", metric_points(lines, key, true)}});
  }
  html += fmt::format(
      "<h2>Data</h2><p>{} users, {} items, {} train / {} valid / {} test interactions, density "
      "{:.3g}, language "
      "width {}, fingerprint {}.</p>",
      data.users, data.items, data.train.entries(), data.valid.entries(), data.test.entries(),
      double(data.train.entries()) / double(data.users) / double(data.items), data.language.width(),
      data.fingerprint);
  html += "<h2>Settings</h2><pre>" + escape(to_toml(config)) + "</pre>";
  html += fmt::format("<p>rec_engine {} ({})</p></body></html>\n", kVersion, kCommit);
  write_whole_file(run.report_file(), html);
}

}  // namespace rec
