// evaluate --cold items|users: what a run makes of those nothing is known of from training, beside
// the others.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/ranker.h"
#include "host/report/report.h"
#include "host/run/loaded_run.h"
#include "host/run/split_evaluator.h"

namespace rec {

struct ColdGroup {
  std::string name;  // "cold items, no training interaction"
  int64_t users = 0;
  std::vector<ReportRow> rows;  // the model, emb-knn where there are vectors, popularity
};

struct ColdEvaluation {
  std::vector<ColdGroup> groups;
  // Of the first overlap_at items of a cold user's lists on the frozen and on the rebuilt graph:
  // the share that stands in both.
  std::optional<double> overlap;
  int64_t overlap_at = 0;
  std::string masked;  // "train+valid"
};

// The same lists for all groups; of a group of items only those count as relevant, and the mean is
// over the users who have any. model: the run's ranker, called name. Refuses a dataset whose split
// asks for no cold item.
ColdEvaluation evaluate_cold_items(LoadedRun& run, Ranker& model, const std::string& name,
                                   const SplitEvaluator& evaluator, Split split,
                                   const std::vector<int64_t>& cutoffs);

// Test lists of the users without training items, served as new ones whose histories are their valid
// items, on the frozen graph and, one at a time, on the rebuilt one; and of the users with training
// items. evaluator must mask train and valid. Refuses a dataset without such users.
ColdEvaluation evaluate_cold_users(LoadedRun& run, Ranker& model, const std::string& name,
                                   const SplitEvaluator& evaluator,
                                   const std::vector<int64_t>& cutoffs);

// Plain text; and the value of "groups" and "overlap@20" in the command's JSON.
std::string cold_tables(const ColdEvaluation& evaluation, const std::vector<int64_t>& cutoffs);
nlohmann::ordered_json cold_json(const ColdEvaluation& evaluation,
                                 const std::vector<int64_t>& cutoffs);

}  // namespace rec
