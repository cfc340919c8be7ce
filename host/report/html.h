// The parts that report pages are made of. Pages need nothing but themselves.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "host/run/run_folder.h"

namespace rec {

// Text as HTML, never as markup.
std::string escape(const std::string& text);

// A whole page with this title and body; it says which version wrote it.
std::string html_page(const std::string& title, const std::string& body);

struct Curve {
  std::string name;
  const char* colour;
  std::vector<std::pair<double, double>> points;  // x, value
};

// How the numbers below the x axis are written: epochs are whole.
enum class XLabels { whole, decimal };

// An SVG line chart with its own axes; curves without points are left out, and with them the chart.
std::string chart(const std::string& title, std::vector<Curve> curves, XLabels labels);

// A metric's values by epoch, as a curve's points.
std::vector<std::pair<double, double>> metric_points(const std::vector<MetricsLine>& lines,
                                                     const std::string& key, bool test);

}  // namespace rec
