#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/intention_sweep.h"
#include "host/commands/commands.h"
#include "host/commands/intention_queries.h"
#include "host/commands/item_names.h"
#include "host/commands/list_printer.h"
#include "host/commands/output_file.h"
#include "host/commands/shared_options.h"
#include "host/formats/file_error.h"
#include "host/formats/intention_files.h"
#include "host/formats/mapped_file.h"
#include "host/progress/progress.h"
#include "host/report/html.h"
#include "host/run/model_of_config.h"

namespace rec {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSyntheticCosine = 0.6;  // of a stand-in with its item's vector

struct Options {
  LoadRequest load;
  std::string queries_file, vectors_file, targets_file;
  std::string alphas = "0:1:0.1";
  std::string jsonl_file, html_file, lists;
  int64_t k = 10;
  uint64_t seed = 101;
};

// What is swept: who wants what, and the query of each.
struct Sweep {
  std::string queries;                   // where they come from, in words
  std::vector<IntentionTarget> targets;  // ascending by user
  std::vector<std::string> text;         // of each target's query; empty for synthetic ones
  std::vector<float> projected;          // [targets, dim]
};

std::vector<IntentionTarget> chosen_targets(const Options& options, const Dataset& data,
                                            const std::vector<uint8_t>& has_query) {
  if (!options.targets_file.empty()) {
    const MappedFile file(options.targets_file);
    return parse_intention_targets(file.bytes(), options.targets_file, data.test.view(), has_query);
  }
  std::vector<IntentionTarget> targets = draw_targets(data.test.view(), has_query, options.seed);
  if (targets.empty())
    throw FileError(options.queries_file,
                    "has a query for none of the items in test.txt; there is nothing to sweep");
  return targets;
}

// vectors (host) [queries, width]; query[t]: which of them is target t's.
void project_queries(LoadedRun& run, MatrixView<const float> vectors,
                     const std::vector<int64_t>& query, Sweep& sweep) {
  const int64_t dim = run.model->settings().projector.dim;
  std::vector<float> each(size_t(vectors.rows * dim));
  project_vectors(*run.backend, run.model->settings().projector, run.model->parameters(), vectors,
                  each.data());
  for (int64_t row : query) {
    const auto begin = each.begin() + ptrdiff_t(row * dim);
    sweep.projected.insert(sweep.projected.end(), begin, begin + ptrdiff_t(dim));
  }
}

// Queries that somebody wrote, and their vectors.
Sweep written_queries(const Options& options, LoadedRun& run) {
  const Dataset& data = run.data;
  const MappedFile file(options.queries_file);
  const IntentionQueries queries =
      parse_intention_queries(file.bytes(), options.queries_file, data.items);
  const LanguageMatrix vectors(options.vectors_file);
  if (vectors.rows() != queries.size())
    throw FileError(options.vectors_file,
                    fmt::format("has {} rows, but {} holds {} queries; row by row, each query "
                                "needs its language vector",
                                vectors.rows(), options.queries_file, queries.size()));
  if (vectors.width() != data.language.width())
    throw FileError(options.vectors_file,
                    fmt::format("has vectors {} wide, but the language vectors of {} are {} wide; "
                                "embed the queries with their model",
                                vectors.width(), data.path, data.language.width()));
  std::vector<uint8_t> has_query(size_t(data.items), 0);
  std::vector<int64_t> row_of_item(size_t(data.items), -1), rows;
  for (int64_t row = 0; row < queries.size(); ++row) {
    has_query[size_t(queries.item[size_t(row)])] = 1;
    row_of_item[size_t(queries.item[size_t(row)])] = row;
  }
  Sweep sweep;
  sweep.queries = "queries of " + options.queries_file;
  sweep.targets = chosen_targets(options, data, has_query);
  for (const IntentionTarget& target : sweep.targets) {
    rows.push_back(row_of_item[size_t(target.item)]);
    sweep.text.push_back(queries.text[size_t(rows.back())]);
  }
  project_queries(run, vectors.view(), rows, sweep);
  return sweep;
}

// Where nobody wrote any: the target's own vector with noise.
Sweep synthetic_queries(const Options& options, LoadedRun& run) {
  const Dataset& data = run.data;
  Sweep sweep;
  sweep.queries = fmt::format("synthetic queries, each the target's vector with noise, cosine {}",
                              kSyntheticCosine);
  sweep.targets = chosen_targets(options, data, std::vector<uint8_t>(size_t(data.items), 1));
  std::vector<int32_t> items;
  for (const IntentionTarget& target : sweep.targets) items.push_back(target.item);
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  const int64_t width = data.language.width();
  std::vector<float> vectors(items.size() * size_t(width));
  for (size_t n = 0; n < items.size(); ++n)
    noisy_query({data.language.view().row(items[n]), width}, kSyntheticCosine, options.seed,
                items[n], vectors.data() + n * size_t(width));
  std::vector<int64_t> rows;
  for (const IntentionTarget& target : sweep.targets)
    rows.push_back(std::lower_bound(items.begin(), items.end(), target.item) - items.begin());
  project_queries(run, {vectors.data(), int64_t(items.size()), width}, rows, sweep);
  return sweep;
}

std::string facts_line(const Dataset& data, const Sweep& sweep) {
  return fmt::format(
      "{}: {} users, a test item of each as her target, {}; all {} items ranked, masked: "
      "train+valid",
      data.name, sweep.targets.size(), sweep.queries, data.items);
}

void print_table(const std::vector<IntentionPoint>& points) {
  fmt::print("alpha     hr@5   ndcg@5    hr@20  others' recall@20\n");
  for (const IntentionPoint& p : points)
    fmt::print("{:<6}  {:.5f}  {:.5f}  {:.5f}            {:.5f}\n", fmt::format("{:g}", p.alpha),
               p.hr_5, p.ndcg_5, p.hr_20, p.others_recall_20);
}

void write_jsonl(const std::string& file, const Sweep& sweep,
                 const std::vector<IntentionPoint>& points) {
  std::string text;
  for (const IntentionPoint& p : points) {
    const Json line = {{"alpha", p.alpha},
                       {"users", sweep.targets.size()},
                       {"queries", sweep.queries},
                       {"target", {{"hr@5", p.hr_5}, {"ndcg@5", p.ndcg_5}, {"hr@20", p.hr_20}}},
                       {"others", {{"recall@20", p.others_recall_20}}}};
    text += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  write_output(file, text);
}

void write_page(const std::string& file, const LoadedRun& run, const Sweep& sweep,
                const std::vector<IntentionPoint>& points) {
  Curve hr_5{"hr@5", "#2f6db3", {}}, ndcg_5{"ndcg@5", "#b3423a", {}},
      others{"recall@20", "#3a8f4d", {}};
  std::string table =
      "<table><tr><th>alpha</th><th>hr@5</th><th>ndcg@5</th><th>hr@20</th><th>others' "
      "recall@20</th></tr>";
  for (const IntentionPoint& p : points) {
    hr_5.points.push_back({p.alpha, p.hr_5});
    ndcg_5.points.push_back({p.alpha, p.ndcg_5});
    others.points.push_back({p.alpha, p.others_recall_20});
    table += fmt::format(
        "<tr><td>{:g}</td><td>{:.5f}</td><td>{:.5f}</td><td>{:.5f}</td><td>{:.5f}</td></tr>",
        p.alpha, p.hr_5, p.ndcg_5, p.hr_20, p.others_recall_20);
  }
  const std::string body =
      "<p>" + escape(facts_line(run.data, sweep)) + "</p>" + table + "</table>" +
      chart("the target, by alpha", {hr_5, ndcg_5}, XLabels::decimal) +
      chart("the user's other test items, by alpha", {others}, XLabels::decimal);
  write_output(file,
               html_page("intention: " + model_label(run.config) + " on " + run.data.name, body));
}

// The lists of chosen users without an intention, and at alpha.
void print_lists(const Options& options, const LoadedRun& run, IntentionRanker& ranker,
                 const Sweep& sweep, const std::vector<size_t>& chosen, double alpha) {
  const Dataset& data = run.data;
  const int64_t dim = run.model->settings().projector.dim;
  ListPrinter printer(data, "table", "user");
  for (size_t t : chosen) {
    const auto [user, item] = sweep.targets[t];
    const MatrixView<const float> query(sweep.projected.data() + int64_t(t) * dim, 1, dim);
    const std::string name = data.user_name(user);
    std::string heading =
        fmt::format("\n{} wants {}{}\n", name,
                    data.item_title(item).empty() ? data.item_name(item) : data.item_title(item),
                    sweep.text.empty() ? "" : ": " + sweep.text[t]);
    for (double at : {0.0, alpha}) {
      printer.print(name, fmt::format("{}alpha {:g}:", heading, at),
                    ranker.rank({user}, query, at, std::min(options.k, data.items)), 0);
      heading.clear();
    }
  }
  printer.finish();
}

// Which targets are those of the users asked for.
std::vector<size_t> chosen_lists(const Options& options, const Dataset& data, const Sweep& sweep) {
  std::vector<size_t> chosen;
  if (options.lists.empty()) return chosen;
  for (int32_t user : users_named(data, split_list(options.lists, "--lists"))) {
    const auto at =
        std::lower_bound(sweep.targets.begin(), sweep.targets.end(), user,
                         [](const IntentionTarget& t, int32_t u) { return t.user < u; });
    if (at == sweep.targets.end() || at->user != user)
      throw std::invalid_argument("--lists: user '" + data.user_name(user) +
                                  "' has no target; name a user who has one");
    chosen.push_back(size_t(at - sweep.targets.begin()));
  }
  return chosen;
}

int run_intention(const Options& options) {
  refuse_same_output({{"--jsonl", options.jsonl_file}, {"--html", options.html_file}});
  const std::vector<double> alphas = parse_alphas(options.alphas);
  LoadedRun run = load_run(options.load);
  require_language_model(run, "intention");
  const Dataset& data = run.data;
  if (data.test.entries() == 0)
    throw FileError(data.path,
                    "has no test interactions (test.txt is missing or empty); the "
                    "targets of an intention are test items");
  const Sweep sweep = options.queries_file.empty() ? synthetic_queries(options, run)
                                                   : written_queries(options, run);
  const std::vector<size_t> chosen = chosen_lists(options, data, sweep);
  print_notices(run);
  const CsrView train = data.train.view();
  IntentionRanker ranker(*run.model, train, {train, data.valid.view()}, {});
  const MatrixView<const float> query(sweep.projected.data(), int64_t(sweep.targets.size()),
                                      run.model->settings().projector.dim);
  std::vector<IntentionPoint> points;
  {
    Progress progress(int64_t(alphas.size()), /*quiet=*/false);
    for (double alpha : alphas) {
      progress.update(int64_t(points.size()), fmt::format("alpha {:g}", alpha));
      points.push_back(measure_intention(ranker, sweep.targets, query, data.test.view(), alpha));
    }
  }

  const bool for_programs =
      is_standard_output(options.jsonl_file) || is_standard_output(options.html_file);
  if (!for_programs) {
    fmt::print("{}\n", facts_line(data, sweep));
    print_table(points);
    const auto best = std::max_element(
        points.begin(), points.end(), [](const auto& a, const auto& b) { return a.hr_5 < b.hr_5; });
    fmt::print("best hr@5 at alpha {:g}\n", best->alpha);
    print_lists(options, run, ranker, sweep, chosen, best->alpha);
  }
  if (!options.jsonl_file.empty()) write_jsonl(options.jsonl_file, sweep, points);
  if (!options.html_file.empty()) write_page(options.html_file, run, sweep, points);
  return 0;
}

}  // namespace

Command add_intention(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "intention", "How far a query brings a wanted item up, as alpha grows, and at what cost");
  add_run_options(*command, options->load);
  CLI::Option* queries = command->add_option(
      "--queries", options->queries_file,
      "lines of item<tab>query; without, each target's vector with noise stands in");
  command
      ->add_option("--vectors", options->vectors_file,
                   "the queries' language vectors (.npy), a row a line")
      ->needs(queries);
  queries->needs(command->get_option("--vectors"));
  command->add_option("--targets", options->targets_file,
                      "lines of user<tab>item; without, one test item a user is drawn");
  command
      ->add_option("--alpha", options->alphas, "0.3, or 0,0.3,1, or from 0 to 1 by 0.1 as 0:1:0.1")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of drawn targets and synthetic queries")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command->add_option("--jsonl", options->jsonl_file,
                      "write a line of JSON an alpha; - is standard output, without the table");
  command->add_option("--html", options->html_file,
                      "write a page with table and curves; - as above");
  command->add_option("--lists", options->lists,
                      "also the lists of these users (ID,ID), before and at the best alpha");
  command->add_option("--topk", options->k, "items a list")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  return [options] { return run_intention(*options); };
}

}  // namespace rec
