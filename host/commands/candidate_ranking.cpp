#include "host/commands/candidate_ranking.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "engine/candidates.h"
#include "host/run/candidate_lists.h"

namespace rec {
namespace {

const std::vector<int64_t> kPaperCutoffs = {1, 5, 10, 20};

CandidateLists lists_of(const Dataset& data, Split split, const CandidateOptions& options,
                        uint64_t seed) {
  if (!options.file.empty()) return read_candidate_lists(options.file, data, split, options.pooled);
  const CsrView truth = data.split(split).view();
  const CandidateLists lists = draw_candidates(
      truth, {data.train.view(), data.valid.view(), data.test.view()}, options.negatives, seed);
  return options.pooled ? pooled(lists, truth) : lists;
}

// "20 candidates", "20 to 58 pooled candidates": how long the lists are.
std::string candidates_text(const CandidateLists& lists, bool pooled) {
  int64_t shortest = std::numeric_limits<int64_t>::max(), longest = 0;
  for (int64_t l = 0; l < lists.lists(); ++l) {
    shortest = std::min(shortest, lists.candidate.view().degree(l));
    longest = std::max(longest, lists.candidate.view().degree(l));
  }
  return fmt::format(
      "{}{} candidates",
      shortest == longest ? fmt::format("{}", longest) : fmt::format("{} to {}", shortest, longest),
      pooled ? " pooled" : "");
}

}  // namespace

void add_candidate_options(CLI::App& command, CandidateOptions& options) {
  CLI::Option* file =
      command.add_option("--candidates", options.file,
                         "rank these candidates alone: a line a list, user item item ..., one of "
                         "the items in the split");
  CLI::Option* drawn =
      command
          .add_option("--sampled-negatives", options.negatives,
                      "rank each item of the split among so many that its user has in no split")
          ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
          ->excludes(file);
  command.add_flag("--pooled", options.pooled, "candidates: one list a user, all hers together");
  command.add_option("--save-candidates", options.save_file,
                     "write the lists that were ranked, as --candidates reads them");
  for (const char* other : {"--groups", "--per-user", "--mask", "--beside", "--cold"})
    for (CLI::Option* option : {file, drawn}) option->excludes(command.get_option(other));
}

void refuse_stray_candidate_options(const CandidateOptions& options) {
  if (options.asked()) return;
  const char* stray = options.pooled               ? "--pooled"
                      : !options.save_file.empty() ? "--save-candidates"
                                                   : nullptr;
  if (stray != nullptr)
    throw std::invalid_argument(std::string(stray) +
                                ": says nothing without --candidates or --sampled-negatives");
}

CandidateRanking rank_candidates(Ranker& ranker, const Dataset& data, Split split,
                                 const CandidateOptions& options, uint64_t seed,
                                 std::vector<int64_t> cutoffs) {
  const CandidateLists lists = lists_of(data, split, options, seed);
  if (!options.save_file.empty()) write_candidate_lists(options.save_file, lists);
  if (cutoffs.empty()) cutoffs = kPaperCutoffs;
  const CandidateEvaluation evaluation = evaluate(ranker, lists, std::move(cutoffs));
  CandidateRanking ranking;
  ranking.lists = evaluation.lists;
  ranking.users = evaluation.users;
  ranking.origin = options.file.empty()
                       ? fmt::format("{} uniform negatives, seed {}", options.negatives, seed)
                       : options.file;
  for (size_t c = 0; c < evaluation.cutoffs.size(); ++c)
    for (Metric metric : {Metric::ndcg, Metric::hr})
      ranking.metrics.push_back({fmt::format("{} ({})", metric_key(metric, evaluation.cutoffs[c]),
                                             candidates_text(lists, options.pooled)),
                                 evaluation.mean[c][size_t(metric)]});
  return ranking;
}

}  // namespace rec
