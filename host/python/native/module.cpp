// rec_engine._native: what the package rec_engine is made of. Its functions take arrays as they are and write their
// results into arrays that are given; defaults, conversions and documentation are the package's.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "host/commands/program.h"
#include "host/python/native/csr.h"
#include "host/python/native/errors.h"
#include "host/python/native/model.h"
#include "host/python/native/operators.h"
#include "host/python/native/ranking.h"
#include "host/python/native/sampling.h"
#include "host/python/native/threads.h"
#include "host/version.h"

namespace {

int run_program(const std::vector<std::string>& words) {
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  return rec::run_program(int(argv.size()), argv.data());
}

}  // namespace

NB_MODULE(_native, module) {
  nanobind::set_leak_warnings(
      false);  // what an interpreter still holds as it ends is its own affair
  rec::python::bind_errors();
  module.def("run_program", &run_program, nanobind::call_guard<nanobind::gil_scoped_release>(),
             nanobind::arg("words"));
  module.attr("version") = rec::kVersion;
  module.attr("commit") = rec::kCommit;
  rec::python::bind_arrays(module);
  rec::python::bind_threads(module);
  rec::python::bind_csr(module);
  rec::python::bind_model(module);
  rec::python::bind_operators(module);
  rec::python::bind_ranking(module);
  rec::python::bind_sampling(module);
}
