#include "host/python/native/csr.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <utility>

namespace rec::python {
namespace {

void require_rows(const CsrView& m, int64_t entries, const std::string& name) {
  if (m.row_start[0] != 0 || m.row_start[m.rows] != entries)
    throw nb::value_error(
        fmt::format("{}: expected offsets from 0 to its {} entries, given {} to {}", name, entries,
                    m.row_start[0], m.row_start[m.rows])
            .c_str());
  for (int64_t r = 0; r < m.rows; ++r)
    if (m.row_start[r] > m.row_start[r + 1])
      throw nb::value_error(
          fmt::format("{}: expected offsets that ascend, given {} after {} for user {}", name,
                      m.row_start[r + 1], m.row_start[r], r)
              .c_str());
}

void require_columns(const CsrView& m, bool repeats, const std::string& name) {
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t e = m.row_start[r]; e < m.row_start[r + 1]; ++e) {
      const int32_t item = m.col[e];
      if (item < 0 || item >= m.cols)
        throw nb::value_error(fmt::format("{}: expected items from 0 to {}, given {} for user {}",
                                          name, m.cols - 1, item, r)
                                  .c_str());
      if (e == m.row_start[r] || m.col[e - 1] < item) continue;
      if (m.col[e - 1] > item)
        throw nb::value_error(
            fmt::format("{}: expected each user's items in ascending order, given {} after {} for "
                        "user {}; call .sort_indices() once",
                        name, item, m.col[e - 1], r)
                .c_str());
      if (!repeats)
        throw nb::value_error(
            fmt::format("{}: expected each of a user's items once, given {} twice for user {}; call "
                        ".sum_duplicates() once",
                        name, item, r)
                .c_str());
    }
}

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
  require_rows(view_, items.size, name_);
  require_columns(view_, repeats, name_);
}

void require_same_shape(const Csr& csr, const Csr& other) {
  const CsrView a = csr.view(), b = other.view();
  if (a.rows != b.rows || a.cols != b.cols)
    throw nb::value_error(
        fmt::format("{}: expected {} users and {} items as {} has, given {} and {}", other.name(),
                    a.rows, a.cols, csr.name(), b.rows, b.cols)
            .c_str());
}

void bind_csr(nb::module_& module) {
  nb::class_<Csr>(module, "Csr")
      .def(nb::init<Given, Given, int64_t, int64_t, std::string, bool>(), nb::arg("row_start"),
           nb::arg("col"), nb::arg("rows"), nb::arg("cols"), nb::arg("name"), nb::arg("repeats"))
      .def_prop_ro("shape", [](const Csr& m) { return nb::make_tuple(m.view().rows, m.view().cols); })
      .def_prop_ro("row_start", &Csr::row_start);
}

}  // namespace rec::python
