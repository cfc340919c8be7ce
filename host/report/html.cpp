#include "host/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/version.h"

namespace rec {
namespace {

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

std::string html_page(const std::string& title, const std::string& body) {
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escape(title) +
         "</title><style>" + kStyle + "</style></head><body><h1>" + escape(title) + "</h1>" + body +
         fmt::format("<p>rec_engine {} ({})</p></body></html>\n", kVersion, kCommit);
}

std::string chart(const std::string& title, std::vector<Curve> curves, XLabels labels) {
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
    const double y = y0 + (y1 - y0) * t / kTicks, exact_x = x0 + (x1 - x0) * t / kTicks,
                 x = labels == XLabels::whole ? std::round(exact_x) : exact_x;
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"grid\"/>",
                       kLeft, kWidth - kRight, py(y), py(y));
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" class=\"y\">{:.4g}</text>", kLeft - 6,
                       py(y) + 4, y);
    if (x == last_x) continue;  // few epochs have fewer labels
    last_x = x;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"x\">{:.6g}</text>", px(x), kHeight - 14,
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

}  // namespace rec
