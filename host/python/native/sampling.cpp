#include "host/python/native/sampling.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <string>
#include <utility>

#include "host/library/batch_sampler.h"
#include "host/python/native/csr.h"

namespace rec::python {
namespace {

// A sampler that writes into the caller's arrays.
class Sampler {
 public:
  Sampler(const Csr& interactions, int64_t batch, int64_t negatives, const std::string& rule,
          const std::string& distribution, double exponent, uint64_t seed)
      : sampler_(interactions.view(), {batch, negatives, rule, distribution, exponent, seed}) {}

  int64_t steps_per_epoch() const { return sampler_.steps_per_epoch(); }

  // Writes int32 users [batch], positives [batch] and negatives [batch, negatives].
  void draw(int64_t epoch, int64_t step, const Result& users, const Result& positives,
            const Result& negatives, const std::pair<int, uint64_t>& said) {
    const Place place = place_of(said);
    const MatrixView<int32_t> of_negatives =
        id_result(negatives, "negatives", sampler_.batch(), sampler_.negatives(), place);
    if (of_negatives.stride != of_negatives.cols)
      throw nb::value_error(
          "negatives: expected rows that lie one after another, given rows that lie apart");
    sampler_.draw(place, epoch, step, ids_result(users, "users", sampler_.batch(), place),
                  ids_result(positives, "positives", sampler_.batch(), place), of_negatives);
  }

 private:
  BatchSampler sampler_;
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
           nb::arg("step"), nb::arg("users"), nb::arg("positives"), nb::arg("negatives"),
           nb::arg("place"));
}

}  // namespace rec::python
