// What a person reads after a run: a table of metrics, and report.html, one self-contained page
// with loss and metric curves, the settings, facts of the data and the final table.
#pragma once
#include <string>
#include <vector>

#include "engine/evaluator.h"
#include "host/config/config.h"
#include "host/dataset/dataset.h"
#include "host/run/run_folder.h"

namespace rec {

struct ReportRow {
  std::string name;                // "alpharec", "popularity"
  std::vector<MetricValues> mean;  // one per cut-off
};

// Rows: models; columns: metrics at each cut-off. Plain text, aligned.
std::string metrics_table(const std::vector<int64_t>& cutoffs, const std::vector<ReportRow>& rows);

// rows: at the config's cut-offs; none where there was no split to evaluate on.
void write_report(const RunFolder& run, const Dataset& data, const Config& config,
                  const std::vector<MetricsLine>& lines, const std::vector<ReportRow>& rows);

}  // namespace rec
