// Line charts for pages (host/report/page.h).
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace rec {

struct Curve {
  std::string name;
  const char* colour;
  std::vector<std::pair<double, double>> points;  // x, value
};

// How the numbers below the x axis are written: epochs are whole.
enum class XLabels { whole, decimal };

// An SVG line chart with its own axes; curves without points are left out, and with them the chart.
std::string chart(const std::string& title, std::vector<Curve> curves, XLabels labels);

}  // namespace rec
