// Interactions of the caller's: a sparse 0/1 matrix [users, items] in CSR, checked once and then passed to operations.
#pragma once
#include <cstdint>
#include <string>

#include "host/python/native/arrays.h"
#include "kernels/common/views.h"

namespace rec::python {

class Csr {
 public:
  // row_start: int64 [rows + 1]; col: int32, ascending within each row; name: the argument's. Keeps both arrays.
  // An item that stands in a row several times is accepted where repeats is true.
  Csr(Given row_start, Given col, int64_t rows, int64_t cols, std::string name, bool repeats);

  CsrView view() const { return view_; }
  const Given& row_start() const { return row_start_; }  // int64 [rows + 1]
  const std::string& name() const { return name_; }

 private:
  Given row_start_, col_;
  std::string name_;
  CsrView view_;
};

void bind_csr(nb::module_& module);

}  // namespace rec::python
