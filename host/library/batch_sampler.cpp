#include "host/library/batch_sampler.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "host/library/threads.h"

namespace rec {
namespace {

constexpr int64_t kPlaces = int64_t{1} << 32;  // of epochs, and of steps (kernels/sampler)

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

template <class T>
T named(const std::map<std::string, T>& all, const std::string& name, const char* argument) {
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  std::string names;
  for (const auto& [known, value] : all) names += (names.empty() ? "'" : ", '") + known + "'";
  refuse(fmt::format("{}: expected one of {}, given '{}'", argument, names, name));
}

TrainingSettings settings_of(const SamplingRequest& request, int64_t edges) {
  if (request.batch < 1 || request.batch > edges)
    refuse(fmt::format("batch: expected 1 to the {} interactions there are, given {}", edges,
                       request.batch));
  if (request.negatives < 1)
    refuse(fmt::format("negatives: expected at least 1, given {}", request.negatives));
  if (request.negatives >= (int64_t{1} << 31) / request.batch)
    refuse(fmt::format("negatives: expected fewer than 2^31 in a batch of {}, given {} a row",
                       request.batch, request.negatives));
  TrainingSettings settings;
  settings.batch = request.batch;
  settings.negatives = request.negatives;
  settings.sampling = named<SamplingRule>({{"user", SamplingRule::user},
                                           {"interaction", SamplingRule::interaction},
                                           {"random_user", SamplingRule::random_user}},
                                          request.rule, "rule");
  settings.negative_distribution =
      named<NegativeDistribution>({{"uniform", NegativeDistribution::uniform},
                                   {"popularity", NegativeDistribution::popularity}},
                                  request.distribution, "distribution");
  settings.negative_exponent = request.exponent;
  return settings;
}

void require_place(int64_t place, const char* name) {
  if (place < 0) refuse(fmt::format("{}: expected a number from 0 on, given {}", name, place));
  if (place >= kPlaces)
    refuse(fmt::format("{}: expected a number below {}, given {}", name, kPlaces, place));
}

}  // namespace

BatchSampler::BatchSampler(CsrView interactions, const SamplingRequest& request)
    : backend_(cpu_backend()),
      graph_(*backend_, interactions),
      settings_(settings_of(request, graph_.edges())),
      tables_(*backend_, graph_, settings_),
      seed_(request.seed),
      groupings_(*backend_, graph_.users(), graph_.items(), settings_.batch, settings_.negatives) {}

void BatchSampler::draw(int64_t epoch, int64_t step, VectorView<int32_t> user,
                        VectorView<int32_t> positive, MatrixView<int32_t> negative) {
  require_place(epoch, "epoch");
  require_place(step, "step");
  TrainingClock clock;
  clock.seed = seed_;
  clock.epoch = epoch;
  clock.step = step;
  const std::lock_guard lock(drawing_);
  cpu_backend()->draw_batch(tables_.view(), &clock, 0, groupings_.of(user, positive, negative));
}

}  // namespace rec
