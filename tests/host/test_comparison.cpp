// Comparisons of made-up runs: who is grouped with whom, what is best, and what the pages say.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "host/compare/comparison_report.h"
#include "host/report/text_table.h"

namespace rec::test {
namespace {

// A run whose users' values are all those of `recall` for Recall, and half of them for the others.
ComparedRun run_of(const std::string& name, int64_t seed, double tau,
                   const std::vector<double>& recall) {
  ComparedRun run;
  run.name = run.path = name;
  run.fingerprint = "0123";
  run.config = resolve(Config(), 8);
  run.config.seed = seed;
  run.config.tau = tau;
  run.evaluation.cutoffs = {20};
  for (size_t u = 0; u < recall.size(); ++u) {
    MetricValues values;
    values.fill(recall[u] / 2);
    values[size_t(Metric::recall)] = recall[u];
    run.evaluation.per_user.push_back({int32_t(u), {values}});
  }
  run.evaluation.users = int64_t(recall.size());
  run.evaluation.mean = mean_over(run.evaluation, [](int32_t) { return true; }).at;
  run.lines = {{5, 2.0, {{"recall@20", 0.25}}, {}, 1}, {10, 1.0, {{"recall@20", 0.5}}, {}, 1}};
  return run;
}

const Difference& difference(const Comparison& comparison, size_t of, Metric metric) {
  for (const Difference& d : comparison.differences)
    if (d.of == of && d.metric == metric) return d;
  throw std::logic_error("no such difference");
}

}  // namespace

TEST_CASE("comparison: runs that differ in their seed alone are one model") {
  const Comparison got =
      compare({run_of("a,seed=1", 1, 0.1, {0.5, 0.25, 1}), run_of("b", 1, 0.2, {0.25, 0.5, 1}),
               run_of("a,seed=2", 2, 0.1, {0.25, 0.75, 0.5})},
              1);
  REQUIRE(got.groups.size() == 2);
  CHECK(got.groups[0].name == "a (2 seeds)");
  CHECK(got.groups[0].runs == std::vector<size_t>{0, 2});
  CHECK(got.groups[1].name == "b");
  CHECK(got.has_seeds());
  const double first = 1.75 / 3, second = 1.5 / 3;
  const size_t recall = size_t(Metric::recall);
  CHECK(got.groups[0].mean[0][recall] == Approx((first + second) / 2).margin(1e-15));
  CHECK(got.groups[0].deviation[0][recall] ==
        Approx((first - second) / std::sqrt(2.0)).margin(1e-15));
  CHECK(got.groups[1].deviation[0][recall] == 0);
  // User by user: 0.25 - 0.375, 0.5 - 0.5, 1 - 0.75.
  const std::vector<double> want = {-0.125, 0, 0.25};
  const VectorView<const double> view{want.data(), 3};
  const Difference& d = difference(got, 1, Metric::recall);
  CHECK(d.from == 0);
  CHECK(d.k == 20);
  CHECK(d.mean == Approx(mean_of(view)).margin(1e-15));
  CHECK(d.t_p == paired_t_p(view));
  CHECK(d.wilcoxon_p == wilcoxon_p(view));
  CHECK(d.interval.low == bootstrap_intervals({want}, 1)[0].low);
  CHECK(got.differences.size() == kAllMetrics.size());
}

TEST_CASE("comparison: a run with itself") {
  const ComparedRun run = run_of("a", 1, 0.1, {0.5, 0.25, 1});
  const Comparison got = compare({run, run}, 1);
  CHECK(got.groups.size() == 2);
  REQUIRE(got.differences.size() == kAllMetrics.size());
  for (const Difference& d : got.differences) {
    CHECK(d.mean == 0);
    CHECK(d.t_p == 1);
    CHECK(d.wilcoxon_p == 1);
    CHECK(d.interval.low == 0);
    CHECK(d.interval.high == 0);
  }
}

TEST_CASE("comparison: seeds alone are compared run by run") {
  const Comparison got =
      compare({run_of("a", 1, 0.1, {0.5, 0.25}), run_of("b", 2, 0.1, {0.25, 0.25})}, 1);
  CHECK(got.groups.size() == 1);
  CHECK(got.groups[0].name == "alpharec (2 seeds)");
  REQUIRE(got.compared.size() == 2);
  CHECK(difference(got, 1, Metric::recall).mean == -0.125);
}

TEST_CASE("comparison: other data is another model") {
  ComparedRun a = run_of("a", 1, 0.1, {0.5}), b = run_of("b", 2, 0.1, {0.5});
  b.fingerprint = "4567";
  CHECK(compare({a, b}, 1).groups.size() == 2);
}

TEST_CASE("comparison: names") {
  using Names = std::vector<std::string>;
  CHECK(names_of({"runs/a", "runs/b/", "./c"}) == Names{"a", "b", "c"});
  CHECK(names_of({"x/a", "y/a", "b"}) == Names{"x/a", "y/a", "b"});
  CHECK(names_of({"x/a", "x/a", "x/a"}) == Names{"a", "a (2)", "a (3)"});
  CHECK(common_name({"tau=0.2,seed=101", "tau=0.2,seed=102"}) == "tau=0.2");
  CHECK(common_name({"seed-1", "seed-2"}).empty());
  CHECK(common_name({"first", "second"}).empty());
  CHECK(common_name({"lr=0.01-a", "lr=0.01-b"}) == "lr=0.01");
}

TEST_CASE("comparison: the best of each metric stands out, on a terminal alone") {
  ComparisonReport report;
  report.title = "small";
  report.comparison =
      compare({run_of("a", 1, 0.1, {0.5, 0.25}), run_of("b", 1, 0.2, {0.25, 0.25})}, 1);
  const std::string bold = comparison_text(report, true), plain = comparison_text(report, false);
  CHECK_THAT(bold, Catch::Contains("\033[1m0.37500\033[0m"));
  CHECK_FALSE(Catch::contains(bold, "\033[1m0.25000\033[0m"));
  CHECK_FALSE(Catch::contains(plain, "\033"));
  CHECK_THAT(plain,
             Catch::StartsWith("small\nrun  recall@20") && Catch::Contains("less a, user by user"));

  const std::string page = comparison_html(report);
  CHECK_THAT(page, Catch::Contains("<b>0.37500</b>") && Catch::Contains("recall@20, validation") &&
                       Catch::Contains("training loss"));
  size_t curves = 0;
  for (size_t at = page.find("<polyline"); at != std::string::npos;
       at = page.find("<polyline", at + 1))
    ++curves;
  CHECK(curves == 4);  // loss and recall of two runs

  const auto json = comparison_json(report);
  CHECK(json["runs"][1]["metrics"]["recall@20"] == 0.25);
  CHECK(json["differences"][0]["of"] == "b");
  CHECK(json["differences"][0]["mean"] == -0.125);
  CHECK_FALSE(json.contains("over_seeds"));
}

TEST_CASE("text table: columns aligned by characters") {
  const TextTable table = {{{"run"}, {"x"}}, {{"a longer name"}, {"1 ± 2", true}}, {{"b"}, {"10"}}};
  CHECK(aligned(table, false) ==
        "run                x\n"
        "a longer name  1 ± 2\n"
        "b                 10");
  CHECK(aligned(table, true) ==
        "run                x\n"
        "a longer name  \033[1m1 ± 2\033[0m\n"
        "b                 10");
}

}  // namespace rec::test
