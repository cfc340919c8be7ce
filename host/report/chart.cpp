#include "host/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/report/page.h"

namespace rec {

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

}  // namespace rec
