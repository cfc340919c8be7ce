#include "host/commands/cold_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/baselines.h"
#include "engine/new_user.h"
#include "host/formats/file_error.h"
#include "host/run/metrics_json.h"

namespace rec {
namespace {

constexpr int64_t kOverlapAt = 20;

// Those rows of m that are kept; the others are empty.
template <class Keep>
HostCsr some_rows(CsrView m, Keep keep) {
  HostCsr some;
  some.cols = m.cols;
  for (int64_t r = 0; r < m.rows; ++r)
    add_row(some, keep(r) ? std::vector<int32_t>(m.row(r), m.row(r) + m.degree(r))
                          : std::vector<int32_t>());
  return some;
}

struct NamedRanker {
  std::string name;
  std::unique_ptr<Ranker> ranker;
};

// histories (host) [users, items]: what the users' language vectors are made of.
std::vector<NamedRanker> baselines(LoadedRun& run, CsrView histories) {
  std::vector<NamedRanker> all;
  if (run.data.has_language())
    all.push_back(
        {"emb-knn", make_embedding_knn(*run.backend, run.data.language.view(), histories)});
  all.push_back({"popularity", make_popularity(*run.backend, run.data.train.view())});
  return all;
}

std::vector<MetricValues> mean_of(const TopLists& lists, const std::vector<int32_t>& people,
                                  CsrView truth, const std::vector<int64_t>& cutoffs) {
  GroupSum sum(cutoffs.size());
  for (size_t row = 0; row < people.size(); ++row)
    sum.add(metrics_at(cutoffs, lists.items_of(int64_t(row)),
                       {truth.row(people[row]), truth.degree(people[row])}));
  return sum.mean().at;
}

}  // namespace

ColdEvaluation evaluate_cold_items(LoadedRun& run, Ranker& model, const std::string& name,
                                   const SplitEvaluator& evaluator, Split split,
                                   const std::vector<int64_t>& cutoffs) {
  const Dataset& data = run.data;
  std::vector<int32_t> group_of_item(size_t(data.items), 0);
  for (int32_t item : data.train.col) group_of_item[size_t(item)] = 1;
  const std::vector<int32_t>& asked_for = data.split(split).col;
  if (std::none_of(asked_for.begin(), asked_for.end(),
                   [&](int32_t item) { return group_of_item[size_t(item)] == 0; }))
    throw FileError(data.path, "asks in " + split_name(split) +
                                   " for no item without training interactions; 'rec_engine split "
                                   "--cold items' makes a dataset that does");
  ColdEvaluation result;
  result.masked = masked_text(split, run.config.mask);
  result.groups = {{"cold items, no training interaction", 0, {}},
                   {"items with training interactions", 0, {}},
                   {"all items", 0, {}}};
  const auto add = [&](const std::string& called, Ranker& ranker) {
    const Evaluation evaluation = evaluator.evaluate(ranker, split, cutoffs, group_of_item);
    for (size_t g = 0; g < evaluation.by_item_group.size(); ++g) {
      result.groups[g].users = evaluation.by_item_group[g].users;
      result.groups[g].rows.push_back({called, evaluation.by_item_group[g].at});
    }
    result.groups.back().users = evaluation.users;
    result.groups.back().rows.push_back({called, evaluation.mean});
  };
  add(name, model);
  for (const NamedRanker& baseline : baselines(run, data.train.view()))
    add(baseline.name, *baseline.ranker);
  return result;
}

ColdEvaluation evaluate_cold_users(LoadedRun& run, Ranker& model, const std::string& name,
                                   const SplitEvaluator& evaluator,
                                   const std::vector<int64_t>& cutoffs) {
  require_language_model(run, "--cold users");
  const Dataset& data = run.data;
  const CsrView train = data.train.view(), valid = data.valid.view(), test = data.test.view();
  std::vector<int32_t> people;
  for (int64_t u = 0; u < data.users; ++u)
    if (train.degree(u) == 0 && valid.degree(u) > 0 && test.degree(u) > 0)
      people.push_back(int32_t(u));
  if (people.empty())
    throw FileError(
        data.path,
        "has no user with valid and test items and no training items; 'rec_engine split "
        "--cold users' makes a dataset that does");
  ColdEvaluation result;
  result.masked = masked_text(Split::test, "others");
  const std::vector<CsrView> masks = {evaluator.view(Split::train), evaluator.view(Split::valid)};
  result.overlap_at = std::min(kOverlapAt, data.items);
  const int64_t k =
      std::min(std::max(kOverlapAt, *std::max_element(cutoffs.begin(), cutoffs.end())), data.items);

  NewUsers users(*run.model, data.language.view(), train);
  std::vector<TopLists> lists;
  for (NewUserGraph graph : {NewUserGraph::frozen, NewUserGraph::rebuilt})
    lists.push_back(
        NewUserRanker(*run.model, users, valid, graph).rank(people, masks, /*allowed=*/{}, k));
  result.overlap = rank_overlap(lists[0], lists[1], result.overlap_at);
  ColdGroup cold{"users without training items, served from their valid items",
                 int64_t(people.size()),
                 {{name + ", frozen graph", mean_of(lists[0], people, test, cutoffs)},
                  {name + ", rebuilt graph", mean_of(lists[1], people, test, cutoffs)}}};
  for (const NamedRanker& baseline : baselines(run, valid))
    cold.rows.push_back({baseline.name, mean_of(baseline.ranker->rank(people, masks, {}, k), people,
                                                test, cutoffs)});
  result.groups.push_back(std::move(cold));

  const HostCsr warm_test = some_rows(test, [&](int64_t u) { return train.degree(u) > 0; });
  ColdGroup warm{"users with training items", 0, {}};
  const auto add = [&](const std::string& called, Ranker& ranker) {
    const Evaluation evaluation = evaluate(ranker, warm_test.view(), masks, cutoffs);
    warm.users = evaluation.users;
    warm.rows.push_back({called, evaluation.mean});
  };
  add(name, model);
  for (const NamedRanker& baseline : baselines(run, train)) add(baseline.name, *baseline.ranker);
  if (warm.users > 0) result.groups.push_back(std::move(warm));
  return result;
}

std::string cold_tables(const ColdEvaluation& evaluation, const std::vector<int64_t>& cutoffs) {
  std::string text;
  for (const ColdGroup& group : evaluation.groups)
    text += fmt::format("\n{}: {} users\n{}\n", group.name, group.users,
                        metrics_table(cutoffs, group.rows));
  if (evaluation.overlap)
    text += fmt::format("\nfrozen and rebuilt graph: {:.1f}% of the first {} items the same\n",
                        100 * *evaluation.overlap, evaluation.overlap_at);
  return text;
}

nlohmann::ordered_json cold_json(const ColdEvaluation& evaluation,
                                 const std::vector<int64_t>& cutoffs) {
  nlohmann::ordered_json json = {{"masked", evaluation.masked}};
  for (const ColdGroup& group : evaluation.groups) {
    nlohmann::ordered_json entry = {{"group", group.name}, {"users", group.users}};
    for (const ReportRow& row : group.rows)
      entry["models"].push_back(
          {{"model", row.name}, {"metrics", to_json(named_means(cutoffs, row.mean))}});
    json["groups"].push_back(std::move(entry));
  }
  if (evaluation.overlap)
    json[fmt::format("overlap@{}", evaluation.overlap_at)] = *evaluation.overlap;
  return json;
}

}  // namespace rec
