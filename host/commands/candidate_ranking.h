// evaluate --candidates and --sampled-negatives: metrics of candidate ranking, each under a name that
// says so.
#pragma once
#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ranker.h"
#include "host/dataset/dataset.h"
#include "host/run/named_metrics.h"

namespace rec {

struct CandidateOptions {
  std::string file, save_file;
  int64_t negatives = 0;
  bool pooled = false;

  bool asked() const { return !file.empty() || negatives > 0; }
};

// --candidates, --sampled-negatives, --pooled, --save-candidates; the options of all-ranking alone
// must be there before.
void add_candidate_options(CLI::App& command, CandidateOptions& options);
// Refuses --pooled and --save-candidates where there are no candidates.
void refuse_stray_candidate_options(const CandidateOptions& options);

struct CandidateRanking {
  int64_t lists = 0, users = 0;
  std::string origin;    // "19 uniform negatives, seed 101" or the file
  NamedMetrics metrics;  // "hr@10 (20 candidates)"
};

// The lists read or drawn, saved where that is asked, and ranked. cutoffs: none for the paper's.
CandidateRanking rank_candidates(Ranker& ranker, const Dataset& data, Split split,
                                 const CandidateOptions& options, uint64_t seed,
                                 std::vector<int64_t> cutoffs);

}  // namespace rec
