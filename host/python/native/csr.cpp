#include "host/python/native/csr.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <utility>

#include "host/library/checks.h"

namespace rec::python {
namespace {

constexpr OrderAdvice kAdvice = {"; call .sort_indices() once", "; call .sum_duplicates() once"};

}  // namespace

Csr::Csr(Given row_start, Given col, int64_t rows, int64_t cols, std::string name, bool repeats)
    : row_start_(std::move(row_start)), col_(std::move(col)), name_(std::move(name)) {
  const VectorView<const int64_t> start = offsets(row_start_, name_.c_str());
  const VectorView<const int32_t> items = ids(col_, name_.c_str());
  if (rows < 0 || cols < 0 || start.size != rows + 1)
    throw nb::value_error(fmt::format("{}: expected {} offsets for {} users, given {}", name_,
                                      rows + 1, rows, start.size)
                              .c_str());
  view_ = {rows, cols, start.data, items.data};
  require_offsets(view_, items.size, name_);
  require_sorted_items(view_, repeats, name_, kAdvice);
}

void bind_csr(nb::module_& module) {
  nb::class_<Csr>(module, "Csr")
      .def(nb::init<Given, Given, int64_t, int64_t, std::string, bool>(), nb::arg("row_start"),
           nb::arg("col"), nb::arg("rows"), nb::arg("cols"), nb::arg("name"), nb::arg("repeats"))
      .def_prop_ro("shape",
                   [](const Csr& m) { return nb::make_tuple(m.view().rows, m.view().cols); })
      .def_prop_ro("row_start", &Csr::row_start);
}

}  // namespace rec::python
