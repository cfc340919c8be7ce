#include "host/train/trainer.h"

#include <fmt/format.h>
#include <unistd.h>

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
#include "host/progress/progress.h"
#include "host/report/report.h"
#include "host/run/checkpoint.h"
#include "host/run/memory.h"
#include "host/run/model_of_config.h"
#include "host/run/split_evaluator.h"
#include "host/version.h"

namespace rec {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBetweenSaves = std::chrono::seconds(60);  // of last.safetensors inside long epochs

std::atomic<bool> interrupted{false};

int64_t heavy_users(const Dataset& data, int64_t degree) {
  int64_t count = 0;
  for (int64_t u = 0; u < data.users; ++u) count += data.train.view().degree(u) > degree ? 1 : 0;
  return count;
}

// One training of one model: the state that its methods share.
class Trainer {
 public:
  Trainer(const Dataset& data, const Config& config, const RunFolder& run, const TrainRequest& request,
          Backend& backend)
      : data_(data),
        config_(config),
        run_(run),
        request_(request),
        monitor_(monitor_of(config)),
        model_(backend, model_settings(config), data.language.view(), data.train.view()),
        training_(model_, training_settings(config)),
        evaluator_(backend, data, config.mask) {
    facts_.config = to_toml(config);
    facts_.dataset = data.fingerprint;
    facts_.language_model = data.language_model;
    facts_.language_width = data.language.width();
  }

  void start() {
    model_.parameters().initialise(model_.backend(), uint64_t(config_.seed));
    TrainingClock clock;
    clock.seed = uint64_t(config_.seed);
    training_.set_clock(clock);
  }

  void resume() {
    const SafetensorsFile file = read_safetensors(run_.last_file());
    const CheckpointFacts saved = read_facts(file, run_.last_file());
    if (saved.dataset != data_.fingerprint)
      throw FileError(run_.last_file(), "was trained on other data (fingerprint " + saved.dataset + ", here " +
                                            data_.fingerprint + "); resume with the dataset it began with");
    Config before;
    apply_config_text(before, saved.config, run_.last_file());
    Config now = config_;
    before.epochs = now.epochs;    // training on for longer, with other threads or lists, is no change
    before.threads = now.threads;
    before.topk = now.topk;
    if (to_toml(before) != to_toml(now))
      throw FileError(run_.last_file(), "was trained with other settings than those given; see " +
                                            run_.config_file() + ", or begin anew with --overwrite");
    restore_weights(model_, file, run_.last_file());
    restore_moments(model_, file, run_.last_file());
    training_.set_clock(saved.clock);
    facts_.selection = saved.selection;
    for (MetricsLine& line : run_.read_metrics())
      if (line.epoch <= saved.clock.epoch) lines_.push_back(std::move(line));
    say(fmt::format("resuming after {} of {} epochs, step {} of {}", saved.clock.epoch, config_.epochs,
                    saved.clock.step, training_.steps_per_epoch()));
  }

  TrainEnd run() {
    const int64_t steps = training_.steps_per_epoch();
    Progress progress(config_.epochs * steps, request_.quiet);
    TrainingClock clock = training_.clock();
    Clock::time_point since = Clock::now(), saved = since;
    while (clock.epoch < config_.epochs && !stopped_early()) {
      while (clock.step < steps) {
        training_.step();
        ++clock.step;
        progress.update(clock.epoch * steps + clock.step, note(clock));
        const bool stop = interrupted.load();
        if (stop || Clock::now() - saved > kBetweenSaves) {
          clock = training_.clock();
          check_loss(clock);
          save_last(clock);
          saved = Clock::now();
        }
        if (stop) {
          progress.clear();
          say(fmt::format("stopped at epoch {}, step {}; go on with: {}", clock.epoch + 1,
                          clock.step, resume_command()));
          return TrainEnd::interrupted;
        }
      }
      clock = training_.clock();
      check_loss(clock);
      const double loss = clock.loss_sum / double(steps);
      last_loss_ = loss;
      ++clock.epoch;
      clock.step = 0;
      clock.loss_sum = 0;
      training_.set_clock(clock);
      if (clock.epoch % config_.eval_every == 0 || clock.epoch == config_.epochs) {
        progress.clear();
        evaluate_epoch(clock, loss, since);
        since = Clock::now();
        save_last(clock);
        saved = since;
      }
    }
    progress.clear();
    return TrainEnd::finished;
  }

  // The table a person came for, and the report.
  void finish() {
    if (!std::filesystem::exists(run_.best_file()))
      throw FileError(run_.best_file(), "is missing; train again with --overwrite");
    restore_weights(model_, read_safetensors(run_.best_file()), run_.best_file());
    model_.embed();
    std::vector<ReportRow> rows;
    const Split split = data_.test.entries() > 0 ? Split::test : Split::valid;
    if (data_.split(split).entries() > 0) {
      VectorRanker ranker = model_ranker();
      rows.push_back({config_.model, evaluator_.evaluate(ranker, split, config_.topk)});
      const auto popularity = make_popularity(model_.backend(), data_.train.view());
      rows.push_back({"popularity", evaluator_.evaluate(*popularity, split, config_.topk)});
      say(fmt::format("\nbest epoch {}; {} split, {} users, all {} items ranked, masked: {}",
                      facts_.selection.best_epoch, split_name(split), rows[0].evaluation.users, data_.items,
                      evaluator_.masked_text(split)));
      say(metrics_table(rows));
    }
    write_report(run_, data_, config_, lines_, rows);
    say(fmt::format("run folder: {} (curves: {})", run_.path(), run_.report_file()));
  }

 private:
  void say(const std::string& line) const {
    if (request_.quiet) return;
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  // The run folder remembers the settings, so they need not be given again.
  std::string resume_command() const {
    std::string command =
        fmt::format("rec_engine train {} --out {} --resume", data_.path, run_.path());
    if (request_.device != "auto") command += " --device " + request_.device;
    if (!request_.language.empty()) command += " --language " + request_.language;
    if (request_.track_test) command += " --track test";
    return command;
  }

  bool selects() const { return data_.valid.entries() > 0; }

  bool stopped_early() const { return selects() && facts_.selection.without_gain >= config_.patience; }

  std::string note(const TrainingClock& clock) const {
    return last_loss_ ? fmt::format("epoch {}/{}, loss {:.4f}", clock.epoch + 1, config_.epochs, *last_loss_)
                      : fmt::format("epoch {}/{}", clock.epoch + 1, config_.epochs);
  }

  void check_loss(const TrainingClock& clock) const {
    if (!std::isfinite(clock.loss_sum))
      throw std::runtime_error(fmt::format(
          "the loss is no longer finite (epoch {}, step {}); lower lr or raise tau. The last checkpoint in {} "
          "is intact",
          clock.epoch + 1, clock.step, run_.path()));
  }

  VectorRanker model_ranker() {
    return {model_.backend(), model_.representations().user(), model_.representations().item()};
  }

  void evaluate_epoch(const TrainingClock& clock, double loss, Clock::time_point since) {
    model_.embed();
    VectorRanker ranker = model_ranker();
    MetricsLine line;
    line.epoch = clock.epoch;
    line.loss = loss;
    std::string text = fmt::format("epoch {:>3}  loss {:.4f}", line.epoch, loss);
    bool better = true;  // without a validation split the last epoch is the best there is
    if (selects()) {
      std::vector<int64_t> cutoffs = config_.topk;
      if (std::find(cutoffs.begin(), cutoffs.end(), monitor_.k) == cutoffs.end())
        cutoffs.push_back(monitor_.k);
      const Evaluation valid = evaluator_.evaluate(ranker, Split::valid, cutoffs);
      line.valid = named_means(valid);
      const double value = valid.value(monitor_.metric, monitor_.k);
      better = value > facts_.selection.best;
      facts_.selection.best = better ? value : facts_.selection.best;
      facts_.selection.without_gain = better ? 0 : facts_.selection.without_gain + 1;
      text += fmt::format("  valid {} {:.4f}{}", config_.monitor, value, better ? " *" : "  ");
    }
    if (better) facts_.selection.best_epoch = clock.epoch;
    if (request_.track_test && data_.test.entries() > 0) {
      const Evaluation test = evaluator_.evaluate(ranker, Split::test, config_.topk);
      line.test = named_means(test);
      text += fmt::format("  test {} {:.4f}", metric_key(Metric::recall, config_.topk[0]),
                          test.value(Metric::recall, config_.topk[0]));
    }
    line.seconds = std::chrono::duration<double>(Clock::now() - since).count();
    say(text + fmt::format("  {:.1f} s", line.seconds));
    lines_.push_back(std::move(line));
    facts_.clock = clock;
    if (better) write_safetensors(run_.best_file(), make_checkpoint(model_, facts_, /*with_moments=*/false));
    run_.write_metrics(lines_);
  }

  void save_last(const TrainingClock& clock) {
    facts_.clock = clock;
    write_safetensors(run_.last_file(), make_checkpoint(model_, facts_, /*with_moments=*/true));
  }

  const Dataset& data_;
  const Config& config_;
  const RunFolder& run_;
  const TrainRequest& request_;
  Monitor monitor_;
  Model model_;
  Training training_;
  SplitEvaluator evaluator_;
  CheckpointFacts facts_;
  std::vector<MetricsLine> lines_;
  std::optional<double> last_loss_;
};

}  // namespace

void catch_interrupts() {
  const auto handler = [](int) { interrupted = true; };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

TrainEnd train(const Dataset& data, Config config, const RunFolder& run, const TrainRequest& request) {
  require_language(data, config.model);
  config = resolve(std::move(config), data.language.width());
  const auto say = [&](const std::string& line) {
    if (!request.quiet) fmt::print("{}\n", line);
  };
  if (config.batch > data.train.entries()) {
    say(fmt::format("batch {} is larger than the {} training interactions; using {}", config.batch,
                    data.train.entries(), data.train.entries()));
    config.batch = data.train.entries();
  }
  const bool something_to_resume = std::filesystem::exists(run.last_file());
  if (run.holds_a_run() && !request.resume && !request.overwrite)
    throw FileError(run.path(), "holds a run already; go on with --resume, or replace it with --overwrite");
  if (request.resume && !something_to_resume)
    say(run.path() + ": nothing to resume yet, starting anew");

  const MadeBackend made = make_backend(request.device, int(config.threads));
  if (!made.notice.empty()) say(made.notice);
  const ModelSettings settings = model_settings(config);
  const int64_t needed =
      Model::bytes_needed(settings, data.users, data.items, data.train.entries(), data.language.width(),
                          heavy_users(data, made.backend->hybrid_degree(data.language.width()))) +
      Training::bytes_needed(training_settings(config), data.users, data.items, config.width);
  say(fmt::format("{}: {} users, {} items, {} train / {} valid / {} test interactions, language width {}",
                  data.name, data.users, data.items, data.train.entries(), data.valid.entries(),
                  data.test.entries(), data.language.width()));
  say(fmt::format("{} on {}; hidden {}, width {}, K {}, batch {}, negatives {}, tau {}, lr {}, seed {}",
                  config.model, made.backend->name(), config.hidden, config.width, config.layers, config.batch,
                  config.negatives, config.tau, config.lr, config.seed));
  say(fmt::format("memory: about {} needed, {} available", bytes_text(needed), bytes_text(available_memory())));
  if (data.valid.entries() == 0) say("no validation split: training all epochs, the last one is kept");
  require_memory(needed, "training");

  make_folder(run.path());
  run.remove_leftovers();
  if (request.overwrite && !request.resume)
    for (const std::string& file : {run.last_file(), run.best_file(), run.metrics_file(), run.report_file()})
      ::unlink(file.c_str());

  Trainer trainer(data, config, run, request, *made.backend);
  if (request.resume && something_to_resume) trainer.resume();
  else trainer.start();
  // Only now: what cannot be resumed leaves the folder as it was.
  write_whole_file(run.config_file(), to_toml(config));
  run.write_facts({std::filesystem::absolute(data.path).lexically_normal().string(), data.fingerprint,
                   request.language, made.backend->name(), kVersion, kCommit});
  const TrainEnd end = trainer.run();
  if (end == TrainEnd::finished) trainer.finish();
  return end;
}

}  // namespace rec
