// report.html: a well-formed page that needs nothing but itself, whatever the names in it.
#include <catch2/catch.hpp>
#include <set>

#include "host/report/report.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

// "" when every element that opens also closes, in order,
// and no < or & stands alone; else where not.
std::string not_well_formed(const std::string& html) {
  static const std::set<std::string> kVoid = {"meta", "!doctype", "line"};
  std::vector<std::string> open;
  for (size_t at = 0; at < html.size(); ++at) {
    if (html[at] == '&' && html.find(';', at) > at + 7) return "& at " + html.substr(at, 20);
    if (html[at] == '>') return "> at " + html.substr(at, 20);
    if (html[at] != '<') continue;
    const size_t end = html.find('>', at);
    if (end == std::string::npos || html.find('<', at + 1) < end) return html.substr(at, 20);
    std::string tag = html.substr(at + 1, end - at - 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "quotes in " + tag;
    const bool closes = tag[0] == '/';
    const bool closed = tag.back() == '/';
    tag = tag.substr(closes ? 1 : 0, tag.find_first_of(" /", closes ? 1 : 0) - (closes ? 1 : 0));
    if (closes) {
      if (open.empty() || open.back() != tag) return "</" + tag + ">";
      open.pop_back();
    } else if (!closed && kVoid.count(tag) == 0) {
      open.push_back(tag);
    }
    at = end;
  }
  return open.empty() ? "" : "<" + open.back() + "> stays open";
}

std::string report(const std::string& dataset_name, const std::vector<MetricsLine>& lines,
                   const std::vector<ReportRow>& rows) {
  const TemporaryFolder folder;
  put_small_dataset(folder);
  Dataset data = load_dataset(folder.path());
  data.name = dataset_name;
  const RunFolder run(folder.path());
  write_report(run, data, resolve(Config(), data.language.width()), lines, rows);
  return get(run.report_file());
}

const std::vector<MetricsLine> kLines = {
    {5, 2.5, {{"recall@20", 0.25}, {"ndcg@20", 0.1}, {"hr@20", 0.3}}, {{"recall@20", 0.2}}, 1},
    {10, 1.5, {{"recall@20", 0.5}, {"ndcg@20", 0.2}, {"hr@20", 0.6}}, {{"recall@20", 0.4}}, 1}};
const std::vector<ReportRow> kRows = {{"alpharec", {{0.123456, 0.5, 1, 0.25, 0.75, 0.0625}}},
                                      {"popularity", {{0, 0, 0, 0, 0, 0}}}};

}  // namespace

TEST_CASE("report: well formed, with curves, settings, data and the final table") {
  const std::string html = report("small", kLines, kRows);
  CHECK(not_well_formed(html) == "");
  for (const char* part : {"alpharec on small", "0.12346", "popularity", "recall@20", "<polyline",
                           "training loss", "validation", "tau = 0.15", "4 users, 6 items"})
    CHECK_THAT(html, Catch::Contains(part));
}

TEST_CASE("report: epochs under a curve are whole and stand once") {
  const auto labels = [](std::vector<MetricsLine> lines) {
    const std::string html = report("small", lines, kRows);
    std::vector<std::string> found;
    const std::string mark = "class=\"x\">";
    const size_t end = html.find("</svg>");  // the first chart
    for (size_t at = html.find(mark); at < end; at = html.find(mark, at + 1))
      found.push_back(html.substr(at + mark.size(), html.find('<', at) - at - mark.size()));
    return found;
  };
  using Labels = std::vector<std::string>;
  MetricsLine first = kLines[0], last = kLines[0];
  first.epoch = 1;
  last.epoch = 3;
  CHECK(labels({first, last}) == Labels{"1", "2", "3"});
  last.epoch = 9;
  CHECK(labels({first, last}) == Labels{"1", "3", "5", "7", "9"});
}

TEST_CASE("report: needs nothing from elsewhere") {
  const std::string html = report("small", kLines, kRows);
  for (const char* part : {"http:", "https:", "src=", "href=", "@import", "url(", "<script"})
    CHECK(html.find(part) == std::string::npos);
}

TEST_CASE("report: names are text, never markup") {
  const std::string html = report("<b>\"R&D\"</b> <script>", kLines, kRows);
  CHECK(not_well_formed(html) == "");
  CHECK_THAT(html, Catch::Contains("&lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt; &lt;script&gt;"));
}

TEST_CASE("report: no evaluations, one, and equal ones") {
  CHECK(not_well_formed(report("none", {}, {})) == "");
  CHECK(not_well_formed(report("one", {kLines[0]}, kRows)) == "");
  MetricsLine later = kLines[0];
  later.epoch = 10;
  const std::string equal = report("equal", {kLines[0], later}, kRows);
  CHECK(not_well_formed(equal) == "");
  CHECK(equal.find("nan") == std::string::npos);
  CHECK(equal.find("inf,") == std::string::npos);
}

TEST_CASE("metrics table: a block per cut-off, columns aligned") {
  const std::string text =
      metrics_table({20, 5}, {{"alpharec", {{1, 0, 0, 0, 0, 0}, {0.5, 0, 0, 0, 0, 0}}},
                              {"popularity of old", {{0, 0, 0, 0, 0, 0.25}, {0, 0, 0, 0, 0, 0}}}});
  std::istringstream lines(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  REQUIRE(all.size() == 7);
  CHECK(all[3].empty());
  for (size_t l : {1, 2, 4, 5, 6}) CHECK(all[l].size() == all[0].size());
  CHECK_THAT(all[0], Catch::Contains("recall@20") && Catch::Contains("mrr@20"));
  CHECK_THAT(all[2], Catch::StartsWith("popularity of old") && Catch::EndsWith("0.25000"));
  CHECK_THAT(all[4], Catch::Contains("recall@5"));
}

}  // namespace rec::test
