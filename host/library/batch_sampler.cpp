#include "host/library/batch_sampler.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <utility>

#include "engine/batch.h"

namespace rec {
namespace {

constexpr int64_t kNumbers = int64_t{1} << 32;  // of epochs, and of steps (kernels/sampler)

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

void require_number(int64_t number, const char* name) {
  if (number < 0) refuse(fmt::format("{}: expected a number from 0 on, given {}", name, number));
  if (number >= kNumbers)
    refuse(fmt::format("{}: expected a number below {}, given {}", name, kNumbers, number));
}

}  // namespace

BatchSampler::BatchSampler(CsrView interactions, const SamplingRequest& request)
    : graph_(interactions),
      settings_(settings_of(request, graph_.on_host().edges())),
      seed_(request.seed) {
  drawing_at({});
}

BatchSampler::Drawing& BatchSampler::drawing_at(const Place& place) {
  const auto found = of_gpu_.find(place.gpu);
  if (found != of_gpu_.end()) return found->second;
  std::unique_ptr<Backend> backend = lasting_backend(place.gpu);
  DrawTables tables(*backend, graph_.at(place), settings_);
  return of_gpu_.emplace(place.gpu, Drawing{std::move(backend), std::move(tables), -1, {}})
      .first->second;
}

void BatchSampler::draw(const Place& place, int64_t epoch, int64_t step, VectorView<int32_t> user,
                        VectorView<int32_t> positive, MatrixView<int32_t> negative) {
  require_number(epoch, "epoch");
  require_number(step, "step");
  const std::lock_guard lock(drawing_);
  const std::unique_ptr<Backend> backend = backend_at(place);
  Drawing& from = drawing_at(place);
  if (from.epoch != epoch) {
    TrainingClock clock;
    clock.seed = seed_;
    clock.epoch = epoch;
    from.clock = Array<TrainingClock>(*from.backend, {clock});
    from.epoch = epoch;
  }
  const Graph& graph = graph_.on_host();
  const Groupings unread(*backend, graph.users(), graph.items(), batch(), negatives());
  backend->draw_batch(from.tables.view(), from.clock.data(), step,
                      unread.of(user, positive, negative));
}

}  // namespace rec
