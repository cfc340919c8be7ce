// A comparison for people and for programs.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "host/compare/comparison.h"

namespace rec {

// A group of users or items: its size and each run's values, in the comparison's order.
struct ComparedGroup {
  std::string name;
  std::vector<GroupMean> of_run;
};

// What was evaluated, in words: "debian-deps: test split, 6379 users, ...".
struct ComparisonReport {
  std::string title;
  Comparison comparison;
  std::vector<ComparedGroup> groups;
};

// bold: the best of each metric in bold, for a terminal.
std::string comparison_text(const ComparisonReport& report, bool bold);
// One page with the same tables and, where runs have curves, those of loss and metrics over one
// another.
std::string comparison_html(const ComparisonReport& report);
nlohmann::ordered_json comparison_json(const ComparisonReport& report);

}  // namespace rec
