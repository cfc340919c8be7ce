#include "host/library/saved_run.h"

#include "host/dataset/dataset_writer.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/unfinished_folder.h"
#include "host/run/checkpoint.h"
#include "host/run/run_folder.h"
#include "host/version.h"

namespace rec {
namespace {

constexpr const char* kData = "data";  // the dataset's subfolder

RunFacts facts_of(const LoadedRun& run) {
  RunFacts facts;
  facts.datasets = {kData};
  facts.fingerprint =
      run.checkpoint.dataset.empty() ? run.data.fingerprint : run.checkpoint.dataset;
  facts.device = run.backend->name();
  facts.version = kVersion;
  facts.commit = kCommit;
  return facts;
}

}  // namespace

void save_run(const std::string& folder, const LoadedRun& run,
              const std::vector<MetricsLine>& metrics) {
  if (run.trained_on == TrainedOn::other_data)
    throw FileError(run.path, "was trained on other data than " + run.data.path +
                                  "; save it with the data it was trained on");
  UnfinishedFolder unfinished(folder);
  const RunFolder saved(unfinished.path());
  write_dataset(saved.path() + "/" + kData, run.data);
  write_whole_file(saved.config_file(), run.checkpoint.config);
  saved.write_facts(facts_of(run));
  if (!metrics.empty()) saved.write_metrics(metrics);
  write_safetensors(saved.best_file(),
                    make_checkpoint(*run.model, run.checkpoint, /*with_moments=*/false));
  unfinished.commit();
}

}  // namespace rec
