#include "host/train/run_record.h"

#include <unistd.h>

#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"

namespace rec {

Config without_what_may_change(Config config) {
  const Config defaults;
  config.epochs = defaults.epochs;
  config.threads = defaults.threads;
  config.precision = defaults.precision;
  config.topk = defaults.topk;
  return config;
}

RunRecord::RunRecord(const RunFolder& run, const Dataset& data, const Config& config, Model& model,
                     Training& training)
    : run_(run), data_(data), config_(config), model_(model), training_(training) {
  facts_.config = to_toml(config);
  facts_.dataset = data.fingerprint;
  facts_.language_model = data.language_model;
  facts_.language_width = data.language.width();
}

void RunRecord::start() {
  const auto seed = static_cast<uint64_t>(config_.seed);
  model_.parameters().initialise(model_.backend(), seed);
  TrainingClock clock;
  clock.seed = seed;
  training_.set_clock(clock);
}

void RunRecord::resume() {
  const std::string path = run_.last_file();
  const SafetensorsFile file = read_safetensors(path);
  const CheckpointFacts saved = read_facts(file, path);
  if (saved.dataset != data_.fingerprint)
    throw FileError(path, "was trained on other data (fingerprint " + saved.dataset + ", here " +
                              data_.fingerprint + "); resume with the dataset it began with");
  require_same_language(data_, saved.language_model, saved.language_width, path);
  Config before;
  apply_config_text(before, saved.config, path);
  before = resolve(before, saved.language_width);  // a key may be younger than the checkpoint
  const std::string difference =
      first_difference(without_what_may_change(before), without_what_may_change(config_));
  if (!difference.empty())
    throw FileError(path, "was trained with other settings: " + difference,
                    Remedy::settings_of_run);
  if (saved.selection.best_epoch > 0 && !is_there(run_.best_file()))
    throw FileError(run_.best_file(),
                    "is missing, so the best epoch so far (" +
                        std::to_string(saved.selection.best_epoch) +
                        ") is lost unless it is put back",
                    Remedy::overwrite);
  restore_weights(model_, file, path);
  restore_moments(model_, file, path);
  training_.set_clock(saved.clock);
  facts_.selection = saved.selection;
  has_checkpoint_ = true;
  for (MetricsLine& line : run_.read_metrics())
    if (line.epoch <= saved.clock.epoch) lines_.push_back(std::move(line));
}

void RunRecord::open(RunFacts facts) {
  run_facts_ = std::move(facts);
  earlier_run_stands_ =
      !has_checkpoint_ && (is_there(run_.last_file()) || is_there(run_.best_file()));
  if (!earlier_run_stands_)
    take_over("");
  else
    AtomicFile probe(run_.config_file());  // a folder that cannot be written to is refused here
}

void RunRecord::take_over(const std::string& replaced) {
  earlier_run_stands_ = false;
  if (!has_checkpoint_)
    for (const std::string& file :
         {run_.last_file(), run_.best_file(), run_.metrics_file(), run_.report_file()})
      if (file != replaced) ::unlink(file.c_str());
  write_whole_file(run_.config_file(), to_toml(config_));
  run_.write_facts(run_facts_);
  if (!lines_.empty() && !has_checkpoint_) run_.write_metrics(lines_);
}

void RunRecord::add(MetricsLine line) {
  lines_.push_back(std::move(line));
  if (!earlier_run_stands_) run_.write_metrics(lines_);
}

void RunRecord::save(const std::string& file, const TrainingClock& clock, bool with_moments) {
  facts_.clock = clock;
  write_safetensors(file, make_checkpoint(model_, facts_, with_moments));
  if (earlier_run_stands_) take_over(file);
  has_checkpoint_ = true;
}

void RunRecord::save_best(const TrainingClock& clock) {
  save(run_.best_file(), clock, /*with_moments=*/false);
}

void RunRecord::save_last(const TrainingClock& clock) {
  save(run_.last_file(), clock, /*with_moments=*/true);
}

std::string RunRecord::what_stands() const {
  if (has_checkpoint_) return "The last checkpoint in " + run_.path() + " is intact";
  if (earlier_run_stands_) return "The earlier run in " + run_.path() + " is as it was";
  return "No checkpoint was saved yet";
}

void RunRecord::restore_best() {
  if (!is_there(run_.best_file()))
    throw FileError(run_.best_file(), "is missing", Remedy::overwrite);
  restore_weights(model_, read_safetensors(run_.best_file()), run_.best_file());
}

}  // namespace rec
