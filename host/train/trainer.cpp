#include "host/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "engine/baselines.h"
#include "host/formats/atomic_file.h"
#include "host/formats/file_error.h"
#include "host/formats/mapped_file.h"
#include "host/progress/progress.h"
#include "host/report/report.h"
#include "host/run/domain_evaluator.h"
#include "host/run/folder_lock.h"
#include "host/run/memory.h"
#include "host/run/model_of_config.h"
#include "host/train/run_record.h"
#include "host/version.h"

namespace rec {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBetweenSaves = std::chrono::seconds(60);  // of last.safetensors inside long epochs

std::atomic<bool> interrupted{false};

void say(const TrainRequest& request, const std::string& line) {
  if (request.quiet) return;
  // A reader that is gone must not end the training; the program says so in the end.
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// Absolute; none where some of the data lies in memory.
std::vector<std::string> places_of(const JointDataset& data) {
  std::vector<std::string> places;
  for (const Dataset& part : data.parts()) {
    if (part.in_memory) return {};
    places.push_back(std::filesystem::absolute(part.path).lexically_normal().string());
  }
  return places;
}

// One training of one model: steps, and what is done between epochs.
class Trainer {
 public:
  Trainer(const JointDataset& data, const Config& config, const RunFolder& run,
          const TrainRequest& request, Backend& backend)
      : data_(data),
        config_(config),
        run_(run),
        request_(request),
        monitor_(monitor_of(config)),
        model_(backend, model_settings(config), data.whole().language.view(),
               data.whole().train.view()),
        training_(model_, training_settings(config, trained_domains(data))),
        record_(run, data.whole(), config, model_, training_),
        evaluator_(backend, data, config.mask) {}

  void start() { record_.start(); }
  void open(RunFacts facts) { record_.open(std::move(facts)); }

  void resume() {
    record_.resume();
    const TrainingClock clock = training_.clock();
    say(request_, fmt::format("resuming after {} of {} epochs, step {} of {}", clock.epoch,
                              config_.epochs, clock.step, training_.steps_per_epoch()));
  }

  TrainEnd run() {
    Progress progress(config_.epochs * training_.steps_per_epoch(), request_.quiet);
    TrainingClock clock = training_.clock();
    since_ = last_save_ = Clock::now();
    while (clock.epoch < config_.epochs && !stopped_early()) {
      if (!run_epoch(clock, progress)) {
        progress.clear();
        say(request_, fmt::format("stopped at epoch {}, step {}; go on with: {}", clock.epoch + 1,
                                  clock.step, resume_command()));
        return TrainEnd::interrupted;
      }
      last_loss_ = clock.loss_sum / double(training_.steps_per_epoch());
      ++clock.epoch;
      clock.step = 0;
      clock.loss_sum = 0;
      training_.set_clock(clock);
      if (clock.epoch % config_.eval_every == 0 || clock.epoch == config_.epochs) {
        progress.clear();
        evaluate_epoch(clock);
        save_last(clock);
        if (request_.on_epoch && !request_.on_epoch(record_.lines().back())) break;
      }
    }
    return TrainEnd::finished;
  }

  // The tables a person came for, and the report.
  void finish() {
    record_.restore_best();
    model_.embed();
    std::vector<ReportRow> rows;
    const Split split = data_.whole().test.entries() > 0 ? Split::test : Split::valid;
    const auto results = evaluator_.evaluate(model_.representations(), split, config_.topk);
    for (const DomainEvaluator::Result& result : results) {
      const std::vector<ReportRow> of_domain = rows_of(result, split);
      say(request_,
          fmt::format("\nbest epoch {}{}; {}{} split, {} users, all {} items ranked, masked: {}",
                      record_.selection().best_epoch, as_release(config_) ? " (by test)" : "",
                      data_.is_joint() ? result.domain->name + ", " : "", split_name(split),
                      result.evaluation.users, result.domain->items,
                      masked_text(split, config_.mask)));
      say(request_, metrics_table(config_.topk, of_domain));
      for (ReportRow row : of_domain) {
        if (data_.is_joint()) row.name += " on " + result.domain->name;
        rows.push_back(std::move(row));
      }
    }
    if (results.size() > 1) {
      rows.push_back({model_label(config_) + ", mean over datasets", macro_average(results)});
      say(request_, "\nmean over datasets\n" + metrics_table(config_.topk, {rows.back()}));
    }
    write_report(run_, data_.whole(), config_, record_.lines(), rows);
    say(request_, fmt::format("run folder: {} (curves: {})", run_.path(), run_.report_file()));
  }

 private:
  // The run folder remembers settings and language.
  std::string resume_command() const {
    if (places_of(data_).empty()) return "the same data and run folder, resuming";
    std::string command =
        fmt::format("rec_engine train {} --out {} --resume", data_.whole().path, run_.path());
    if (request_.device != "auto") command += " --device " + request_.device;
    if (request_.track_test) command += " --track test";
    return command;
  }

  bool selects() const { return data_.whole().split(selecting_split(config_)).entries() > 0; }

  bool stopped_early() { return selects() && record_.selection().exhausted(config_.patience); }

  // Steps to the epoch's end, from where the clock stands; clock is then the training's own. False:
  // interrupted, and saved.
  bool run_epoch(TrainingClock& clock, Progress& progress) {
    const int64_t steps = training_.steps_per_epoch();
    while (clock.step < steps) {
      training_.step();
      ++clock.step;
      progress.update(clock.epoch * steps + clock.step, note(clock));
      const bool stop = interrupted.load() || (request_.should_stop && request_.should_stop());
      if (!stop && Clock::now() - last_save_ < kBetweenSaves) continue;
      clock = training_.clock();
      check_loss(clock);
      save_last(clock);
      if (stop) return false;
    }
    clock = training_.clock();
    check_loss(clock);
    return true;
  }

  void save_last(const TrainingClock& clock) {
    record_.save_last(clock);
    last_save_ = Clock::now();
  }

  std::string note(const TrainingClock& clock) const {
    const std::string epoch = fmt::format("epoch {}/{}", clock.epoch + 1, config_.epochs);
    return last_loss_ ? fmt::format("{}, loss {:.4f}", epoch, *last_loss_) : epoch;
  }

  void check_loss(const TrainingClock& clock) const {
    if (!std::isfinite(clock.loss_sum))
      throw std::runtime_error(fmt::format(
          "the loss is no longer finite (epoch {}, step {}); lower lr{}. {}", clock.epoch + 1,
          clock.step, config_.objective == "bpr" ? "" : " or raise tau", record_.what_stands()));
  }

  // The model on a domain, and popularity beside it.
  std::vector<ReportRow> rows_of(const DomainEvaluator::Result& result, Split split) {
    const auto popularity = make_popularity(model_.backend(), result.domain->train.view());
    return {{model_label(config_), result.evaluation.mean},
            {"popularity", result.evaluator->evaluate(*popularity, split, config_.topk).mean}};
  }

  // A line of metrics, and the best checkpoint when this epoch is the best so far.
  void evaluate_epoch(const TrainingClock& clock) {
    model_.embed();
    MetricsLine line;
    line.epoch = clock.epoch;
    line.loss = *last_loss_;
    std::string text = fmt::format("epoch {:>3}  loss {:.4f}", line.epoch, line.loss);
    double value =
        double(clock.epoch);  // without the split to select on the last epoch is the best
    std::string by_domain;
    if (selects()) {
      std::vector<int64_t> cutoffs = config_.topk;
      if (std::find(cutoffs.begin(), cutoffs.end(), monitor_.k) == cutoffs.end())
        cutoffs.push_back(monitor_.k);
      const Split split = selecting_split(config_);
      const auto results = evaluator_.evaluate(model_.representations(), split, cutoffs);
      (split == Split::test ? line.test : line.valid) = named(results);
      value = monitored(results);
      by_domain = monitored_by_domain(results);
    }
    const bool better = record_.selection().take(value, clock.epoch);
    if (selects())
      text += fmt::format("  {} {} {:.4f}{}{}", split_name(selecting_split(config_)),
                          config_.monitor, value, better ? " *" : "  ", by_domain);
    if (request_.track_test && line.test.empty() && data_.whole().test.entries() > 0) {
      line.test = named(evaluator_.evaluate(model_.representations(), Split::test, config_.topk));
      text += fmt::format("  test {} {:.4f}", line.test[0].first, line.test[0].second);
    }
    line.seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    since_ = Clock::now();
    say(request_, text + fmt::format("  {:.1f} s", line.seconds));
    if (better) record_.save_best(clock);
    record_.add(std::move(line));
  }

  // The mean over the domains, then each one's own.
  NamedMetrics named(const std::vector<DomainEvaluator::Result>& results) const {
    const std::vector<int64_t>& cutoffs = results.front().evaluation.cutoffs;
    NamedMetrics all = named_means(cutoffs, macro_average(results));
    if (!data_.is_joint()) return all;
    for (const DomainEvaluator::Result& result : results)
      for (const auto& [name, value] : named_means(cutoffs, result.evaluation.mean))
        all.push_back({result.domain->name + "/" + name, value});
    return all;
  }

  double monitored(const std::vector<DomainEvaluator::Result>& results) const {
    double sum = 0, weights = 0;
    for (const DomainEvaluator::Result& result : results) {
      const double value = result.evaluation.value(monitor_.metric, monitor_.k);
      if (result.domain->name == config_.monitor_domain) return value;
      // The release's mean is over the users of all datasets.
      const double weight = as_release(config_) ? double(result.evaluation.users) : 1.0;
      sum += weight * value;
      weights += weight;
    }
    return sum / weights;
  }

  // " (books 0.0812, games 0.1034)"; "" for one dataset.
  std::string monitored_by_domain(const std::vector<DomainEvaluator::Result>& results) const {
    if (!data_.is_joint()) return "";
    std::string text;
    for (const DomainEvaluator::Result& result : results)
      text += fmt::format("{}{} {:.4f}", text.empty() ? " (" : ", ", result.domain->name,
                          result.evaluation.value(monitor_.metric, monitor_.k));
    return text + ")";
  }

  const JointDataset& data_;
  const Config& config_;
  const RunFolder& run_;
  const TrainRequest& request_;
  Monitor monitor_;
  Model model_;
  Training training_;
  RunRecord record_;
  DomainEvaluator evaluator_;
  Clock::time_point since_, last_save_;  // the last line of metrics; the last save of last_file
  std::optional<double> last_loss_;      // of the last whole epoch
};

// The settings that a person looks at first.
std::string main_settings(const Config& config) {
  const std::string hidden = config.hidden > 0 ? fmt::format("hidden {}, ", config.hidden) : "";
  const std::string loss = config.objective == "bpr" ? "bpr"
                           : config.objective == "infonce"
                               ? fmt::format("negatives {}, tau {}", config.negatives, config.tau)
                               : fmt::format("{}, tau {}", config.objective, config.tau);
  return fmt::format("{}width {}, K {}, batch {}, {}, lr {}, {}seed {}", hidden, config.width,
                     config.layers, config.batch, loss, config.lr,
                     config.reg > 0 ? fmt::format("reg {}, ", config.reg) : "", config.seed);
}

// What will be trained, on what, and how much memory it takes: said and checked beforehand.
void announce(const JointDataset& joint, const Config& config, const Backend& backend,
              const TrainRequest& request) {
  for (const Dataset& data : joint.parts())
    say(request,
        fmt::format(
            "{}: {} users, {} items, {} train / {} valid / {} test interactions{}", data.name,
            data.users, data.items, data.train.entries(), data.valid.entries(), data.test.entries(),
            data.has_language() ? fmt::format(", language width {}", data.language.width()) : ""));
  say(request,
      fmt::format("{} on {}; {}", model_label(config), backend.name(), main_settings(config)));
  const int64_t needed = training_bytes(backend, joint, config);
  say(request, fmt::format("memory: about {} needed, {} available", bytes_text(needed),
                           bytes_text(available_memory(backend))));
  const Split selecting = selecting_split(config);
  if (joint.whole().split(selecting).entries() == 0)
    say(request, fmt::format("no {} split: training all epochs, the last one is kept",
                             selecting == Split::test ? "test" : "validation"));
  if (as_release(config))
    say(request,
        "compat alpharec-release: the best epoch is chosen on the test split, so the figures below "
        "are no estimate for other data (docs/fidelity.md)");
  require_memory(backend, needed, "training");
}

void refuse_earlier_run(const RunFolder& run, const TrainRequest& request) {
  if (run.holds_a_run() && !request.resume && !request.overwrite)
    throw FileError(run.path(), "holds a run already", Remedy::resume_or_overwrite);
}

void require_texts_of_vectors(const JointDataset& joint, const TrainRequest& request) {
  for (const Dataset& data : joint.parts()) {
    const std::string difference = text_difference(data);
    if (difference.empty()) continue;
    const std::string table = data.path + "/items.tsv";
    if (!request.force) throw FileError(table, difference, Remedy::make_vectors_again);
    say(request, "forced: " + table + " " + difference);
  }
}

}  // namespace

void catch_interrupts() {
  interrupted = false;
  const auto handler = [](int number) {
    if (!interrupted.exchange(true)) return;
    std::signal(number, SIG_DFL);
    std::raise(number);
  };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
  if (std::signal(SIGHUP, handler) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);  // nohup
  std::signal(SIGPIPE, SIG_IGN);
}

TrainEnd train(const JointDataset& data, const Config& given, const RunFolder& run,
               const TrainRequest& request) {
  const Dataset& whole = data.whole();
  if (reads_language(given.model))
    require_language(whole, given.model);
  else if (data.is_joint())
    throw std::invalid_argument(given.model + " shares nothing between datasets; train it on each");
  refuse_dataset_folder(run.path());
  if (reads_language(given.model)) require_texts_of_vectors(data, request);
  FolderLock lock("another training is writing to this run folder, and has it until it ends",
                  Remedy::another_folder);
  lock.take(run.path());
  refuse_earlier_run(run, request);
  const bool resumes = request.resume && is_there(run.last_file());
  if (request.resume && !resumes)
    say(request, run.path() + ": nothing to resume yet, starting anew");
  const Config config = fit_to(data, given);
  if (config.batch < given.batch)
    say(request, fmt::format("batch {} is larger than the {} training interactions; using {}",
                             given.batch, whole.train.entries(), config.batch));
  const MadeBackend made =
      make_backend(request.device, int(config.threads), precision_named(config.precision));
  if (!made.notice.empty()) say(request, made.notice);
  announce(data, config, *made.backend, request);
  made.backend->reserve_scratch(operation_sizes(*made.backend, data, config));

  Trainer trainer(data, config, run, request, *made.backend);
  if (resumes)
    trainer.resume();
  else
    trainer.start();
  make_folder(run.path());
  lock.take(run.path());
  refuse_earlier_run(run, request);  // which may have been made and trained in the meantime
  run.remove_leftovers();
  RunFacts facts;
  facts.datasets = places_of(data);
  facts.fingerprint = whole.fingerprint;
  facts.language = request.language;
  facts.device = made.backend->name();
  facts.version = kVersion;
  facts.commit = kCommit;
  trainer.open(std::move(facts));
  const TrainEnd end = trainer.run();
  if (end == TrainEnd::finished) trainer.finish();
  return end;
}

}  // namespace rec
