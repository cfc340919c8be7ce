#include "host/python/native/sampling.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <map>
#include <memory>
#include <string>

#include "engine/buffer.h"
#include "engine/draw_tables.h"
#include "engine/graph.h"
#include "engine/training.h"
#include "host/python/native/csr.h"
#include "host/python/native/threads.h"

namespace rec::python {
namespace {

template <class T>
T named(const std::map<std::string, T>& all, const std::string& name, const char* argument) {
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  std::string names;
  for (const auto& [known, value] : all) names += (names.empty() ? "'" : ", '") + known + "'";
  throw nb::value_error(
      fmt::format("{}: expected one of {}', given '{}'", argument, names, name).c_str());
}

// Draws what a training with these settings and seed draws (kernels/sampler).
class Sampler {
 public:
  Sampler(const Csr& interactions, int64_t batch, int64_t negatives, const std::string& rule,
          const std::string& distribution, double exponent, uint64_t seed)
      : backend_(cpu_backend()),
        graph_(*backend_, interactions.view()),
        settings_(settings_of(graph_, batch, negatives, rule, distribution, exponent)),
        tables_(*backend_, graph_, settings_),
        seed_(seed),
        grouping_(*backend_, graph_.users(), graph_.items(), batch, negatives) {}

  int64_t steps_per_epoch() const { return graph_.edges() / settings_.batch; }

  // Writes int32 users [batch], positives [batch] and negatives [batch, negatives].
  void draw(int64_t epoch, int64_t step, const Result& users, const Result& positives,
            const Result& negatives) {
    BatchView batch = grouping_.view();
    batch.user = ids_result(users, "users", settings_.batch);
    batch.positive = ids_result(positives, "positives", settings_.batch);
    batch.negative = id_result(negatives, "negatives", settings_.batch, settings_.negatives);
    TrainingClock clock;
    clock.seed = seed_;
    clock.epoch = epoch;
    clock.step = step;
    cpu_backend()->draw_batch(tables_.view(), &clock, 0, batch);
  }

 private:
  static TrainingSettings settings_of(const Graph& graph, int64_t batch, int64_t negatives,
                                      const std::string& rule, const std::string& distribution,
                                      double exponent) {
    if (batch < 1 || batch > graph.edges())
      throw nb::value_error(
          fmt::format("batch: expected 1 to the {} interactions there are, given {}", graph.edges(),
                      batch)
              .c_str());
    if (negatives < 1)
      throw nb::value_error(
          fmt::format("negatives: expected at least 1, given {}", negatives).c_str());
    TrainingSettings settings;
    settings.batch = batch;
    settings.negatives = negatives;
    settings.sampling = named<SamplingRule>({{"user", SamplingRule::user},
                                             {"interaction", SamplingRule::interaction},
                                             {"random_user", SamplingRule::random_user}},
                                            rule, "rule");
    settings.negative_distribution =
        named<NegativeDistribution>({{"uniform", NegativeDistribution::uniform},
                                     {"popularity", NegativeDistribution::popularity}},
                                    distribution, "distribution");
    settings.negative_exponent = exponent;
    return settings;
  }

  std::unique_ptr<Backend> backend_;
  Graph graph_;
  TrainingSettings settings_;
  DrawTables tables_;
  uint64_t seed_;
  Batch grouping_;  // of it only what draws are grouped in is used
};

}  // namespace

void bind_sampling(nb::module_& module) {
  nb::class_<Sampler>(module, "Sampler")
      .def(nb::init<const Csr&, int64_t, int64_t, const std::string&, const std::string&, double,
                    uint64_t>(),
           nb::arg("interactions"), nb::arg("batch"), nb::arg("negatives"), nb::arg("rule"),
           nb::arg("distribution"), nb::arg("exponent"), nb::arg("seed"))
      .def_prop_ro("steps_per_epoch", &Sampler::steps_per_epoch)
      .def("draw", &Sampler::draw, nb::call_guard<nb::gil_scoped_release>(), nb::arg("epoch"),
           nb::arg("step"), nb::arg("users"), nb::arg("positives"), nb::arg("negatives"));
}

}  // namespace rec::python
