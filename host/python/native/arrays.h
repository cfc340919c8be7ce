// The caller's arrays as views: NumPy's, PyTorch's, anything with a buffer or DLPack, as they are. Nothing is copied but ids of
// 64 bits.
//
// Each array must lie where the call computes: in the host's memory, or in that of the place's GPU.
//
// What does not fit is refused with one sentence that names the argument, what is expected and what was given: another
// type of value with TypeError, another shape, layout or value with ValueError, another device with RuntimeError.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/buffer.h"
#include "host/library/place.h"
#include "kernels/common/views.h"

namespace rec::python {

namespace nb = nanobind;

using Given = nb::ndarray<nb::ro>;  // any values, shape and device
using Result = nb::ndarray<>;       // likewise, written to

// name: the argument's, for the sentence. A matrix's rows may lie apart, the values of a row must not.
MatrixView<const float> float_matrix(const Given& array, const char* name, const Place& place = {});
VectorView<const int64_t> offsets(const Given& array, const char* name);
VectorView<const int32_t> ids(const Given& array, const char* name);
VectorView<const uint8_t> flags(const Given& array, const char* name);  // of bool

// Results, whose shape must be this; made by the package itself, or by PyTorch.
MatrixView<float> float_result(const Result& array, const char* name, int64_t rows, int64_t cols,
                               const Place& place = {});
MatrixView<int32_t> id_result(const Result& array, const char* name, int64_t rows, int64_t cols,
                              const Place& place = {});
VectorView<int32_t> ids_result(const Result& array, const char* name, int64_t size,
                               const Place& place = {});
VectorView<double> double_result(const Result& array, const char* name, int64_t size,
                                 const Place& place = {});

// Ids from 0 to below count, of users for example: an array of int32 as it is, or one of int64, PyTorch's usual type, in a
// copy of half its size. ValueError names the first that is out of range. On a GPU both are copied, in its stream's
// order, and *loss_sum, which lies there, is NaN where one is out of range.
class Ids {
 public:
  Ids(const Given& array, const char* name, size_t dimensions, int64_t count, const char* of);
  Ids(const Given& array, const char* name, size_t dimensions, int64_t count, const char* of,
      Backend& backend, const Place& place, double* loss_sum);

  VectorView<const int32_t> vector() const { return {view_.data, view_.rows}; }  // of one dimension
  MatrixView<const int32_t> matrix() const { return view_; }

 private:
  MatrixView<const int32_t> view_;
  std::unique_ptr<int32_t[]> converted_;
  Matrix<int32_t> taken_;  // of a GPU
};

// A place as Python says it: the GPU's number, or -1, and the handle of its stream.
Place place_of(const std::pair<int, uint64_t>& said);
// The GPU whose memory that address is; RuntimeError where it is none's.
int gpu_of_address(uint64_t address);
// An array that says where it lies by numbers alone, as __cuda_array_interface__ has them, as a capsule of DLPack that keeps
// owner. strides: in values.
nb::ndarray<> cuda_array(uint64_t address, int gpu, const std::vector<size_t>& shape,
                         const std::vector<int64_t>& strides, char kind, int bits,
                         nb::object owner);

void bind_arrays(nb::module_& module);

}  // namespace rec::python
