#include "host/python/native/arrays.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>

#include "engine/backend_cuda.h"
#include "host/library/checks.h"

namespace rec::python {
namespace {

std::string type_name(nb::dlpack::dtype type) {
  if (type == nb::dtype<bool>()) return "bool";
  const char* kind = "values of another kind, ";
  switch (nb::dlpack::dtype_code(type.code)) {
    case nb::dlpack::dtype_code::Int: kind = "int"; break;
    case nb::dlpack::dtype_code::UInt: kind = "uint"; break;
    case nb::dlpack::dtype_code::Float: kind = "float"; break;
    case nb::dlpack::dtype_code::Bfloat: kind = "bfloat"; break;
    case nb::dlpack::dtype_code::Complex: kind = "complex"; break;
    case nb::dlpack::dtype_code::Bool: kind = "bool"; break;
  }
  return fmt::format("{}{}", kind, int(type.bits));
}

template <class Array>
std::string described(const Array& array) {
  std::string shape;
  for (size_t d = 0; d < array.ndim(); ++d)
    shape += fmt::format("{}{}", d > 0 ? ", " : "", array.shape(d));
  return fmt::format("{} of shape ({}{})", type_name(array.dtype()), shape,
                     array.ndim() == 1 ? "," : "");
}

constexpr const char* kShapeText[] = {"a number", "one dimension", "two dimensions"};

// The GPU's number, -1 for the host's memory, -2 for anything else.
template <class Array>
int gpu_of_array(const Array& array) {
  switch (array.device_type()) {
    case nb::device::cpu::value:
    case nb::device::cuda_host::value: return -1;
    case nb::device::cuda::value:
    case nb::device::cuda_managed::value: return array.device_id();
    default: return -2;
  }
}

template <class T, class Array>
void require_array(const Array& array, const char* name, size_t dimensions, const Place& place) {
  const std::string wanted = type_name(nb::dtype<std::remove_const_t<T>>());
  if (gpu_of_array(array) != place.gpu)
    throw std::runtime_error(fmt::format(
        "{}: expected an array in {}, given one on device {}:{}", name,
        place.is_host() ? "the computer's memory" : fmt::format("the memory of cuda:{}", place.gpu),
        array.device_type(), array.device_id()));
  if (array.dtype() != nb::dtype<std::remove_const_t<T>>())
    throw nb::type_error(
        fmt::format(
            "{}: expected {}, given {}; convert it once with .astype('{}') or .to(torch.{})", name,
            wanted, described(array), wanted, wanted)
            .c_str());
  if (array.ndim() != dimensions)
    throw nb::value_error(fmt::format("{}: expected {} of {}, given {}", name,
                                      kShapeText[dimensions], wanted, described(array))
                              .c_str());
  for (size_t d = 0; d < dimensions; ++d)
    if (array.shape(d) == 0) return;  // nothing lies anywhere
  const size_t last = dimensions - 1;
  if (array.shape(last) > 1 && array.stride(last) != 1)
    throw nb::value_error(
        fmt::format("{}: expected values that lie one after another, given {} with strides {}; lay "
                    "them out once with numpy.ascontiguousarray() or .contiguous()",
                    name, described(array), array.stride(last))
            .c_str());
  if (dimensions == 2 && array.shape(0) > 1 && array.stride(0) < int64_t(array.shape(1)))
    throw nb::value_error(
        fmt::format(
            "{}: expected rows that lie one after another, given {} whose rows overlap or "
            "run backwards; lay them out once with numpy.ascontiguousarray() or .contiguous()",
            name, described(array))
            .c_str());
}

template <class T, class Array>
VectorView<T> vector_of(const Array& array, const char* name, const Place& place) {
  require_array<T>(array, name, 1, place);
  return {static_cast<T*>(array.data()), int64_t(array.shape(0))};
}

template <class T, class Array>
MatrixView<T> matrix_of(const Array& array, const char* name, const Place& place) {
  require_array<T>(array, name, 2, place);
  const auto rows = int64_t(array.shape(0)), cols = int64_t(array.shape(1));
  return {static_cast<T*>(array.data()), rows, cols, rows > 1 ? array.stride(0) : cols};
}

void require_shape(bool holds, const char* name, int64_t rows, int64_t cols, const Result& array) {
  if (!holds)
    throw nb::value_error(
        fmt::format("{}: expected shape ({}, {}), given {}", name, rows, cols, described(array))
            .c_str());
}

template <class T>
MatrixView<T> result_matrix(const Result& array, const char* name, int64_t rows, int64_t cols,
                            const Place& place) {
  const MatrixView<T> view = matrix_of<T>(array, name, place);
  require_shape(view.rows == rows && view.cols == cols, name, rows, cols, array);
  return view;
}

template <class T>
VectorView<T> result_vector(const Result& array, const char* name, int64_t size,
                            const Place& place) {
  const VectorView<T> view = vector_of<T>(array, name, place);
  if (view.size != size)
    throw nb::value_error(
        fmt::format("{}: expected shape ({},), given {}", name, size, described(array)).c_str());
  return view;
}

template <class T>
MatrixView<const T> as_rows(const Given& array, const char* name, size_t dimensions,
                            const Place& place = {}) {
  if (dimensions == 2) return matrix_of<const T>(array, name, place);
  const VectorView<const T> values = vector_of<const T>(array, name, place);
  return {values.data, values.size, 1};
}

}  // namespace

MatrixView<const float> float_matrix(const Given& array, const char* name, const Place& place) {
  return matrix_of<const float>(array, name, place);
}
VectorView<const int64_t> offsets(const Given& array, const char* name) {
  return vector_of<const int64_t>(array, name, {});
}
VectorView<const int32_t> ids(const Given& array, const char* name) {
  return vector_of<const int32_t>(array, name, {});
}
VectorView<const uint8_t> flags(const Given& array, const char* name) {
  const VectorView<const bool> view = vector_of<const bool>(array, name, {});
  return {reinterpret_cast<const uint8_t*>(view.data), view.size};
}

MatrixView<float> float_result(const Result& array, const char* name, int64_t rows, int64_t cols,
                               const Place& place) {
  return result_matrix<float>(array, name, rows, cols, place);
}
MatrixView<int32_t> id_result(const Result& array, const char* name, int64_t rows, int64_t cols,
                              const Place& place) {
  return result_matrix<int32_t>(array, name, rows, cols, place);
}
VectorView<int32_t> ids_result(const Result& array, const char* name, int64_t size,
                               const Place& place) {
  return result_vector<int32_t>(array, name, size, place);
}
VectorView<double> double_result(const Result& array, const char* name, int64_t size,
                                 const Place& place) {
  return result_vector<double>(array, name, size, place);
}

Ids::Ids(const Given& array, const char* name, size_t dimensions, int64_t count, const char* of) {
  const auto check = [&](int64_t id) { require_id(id, name, of, count); };
  if (array.dtype() != nb::dtype<int64_t>()) {
    view_ = as_rows<int32_t>(array, name, dimensions);
    for (int64_t r = 0; r < view_.rows; ++r) std::for_each_n(view_.row(r), view_.cols, check);
    return;
  }
  const MatrixView<const int64_t> wide = as_rows<int64_t>(array, name, dimensions);
  converted_.reset(new int32_t[size_t(wide.rows * wide.cols)]);
  int32_t* next = converted_.get();
  for (int64_t r = 0; r < wide.rows; ++r)
    next = std::transform(wide.row(r), wide.row(r) + wide.cols, next, [&](int64_t id) {
      check(id);
      return int32_t(id);
    });
  view_ = {converted_.get(), wide.rows, wide.cols};
}

Ids::Ids(const Given& array, const char* name, size_t dimensions, int64_t count, const char* of,
         Backend& backend, const Place& place, double* loss_sum) {
  if (place.is_host()) {
    *this = Ids(array, name, dimensions, count, of);
    return;
  }
  const GivenIds given = array.dtype() == nb::dtype<int64_t>()
                             ? GivenIds(as_rows<int64_t>(array, name, dimensions, place))
                             : GivenIds(as_rows<int32_t>(array, name, dimensions, place));
  std::visit([&](auto rows) { taken_ = Matrix<int32_t>(backend, rows.rows, rows.cols); }, given);
  view_ = taken_.view();
  if (view_.rows > 0 && view_.cols > 0) backend.take_ids(given, count, taken_.view(), loss_sum);
}

Place place_of(const std::pair<int, uint64_t>& said) {
  return {said.first, reinterpret_cast<Stream>(said.second)};
}

int gpu_of_address(uint64_t address) {
  if (address == 0) return 0;  // of an array without values
  const std::optional<int> gpu = gpu_of(reinterpret_cast<const void*>(address));
  if (!gpu) throw std::runtime_error("expected memory of a GPU, given an address that is none's");
  return *gpu;
}

nb::ndarray<> cuda_array(uint64_t address, int gpu, const std::vector<size_t>& shape,
                         const std::vector<int64_t>& strides, char kind, int bits,
                         nb::object owner) {
  const auto code = kind == 'f'   ? nb::dlpack::dtype_code::Float
                    : kind == 'i' ? nb::dlpack::dtype_code::Int
                    : kind == 'u' ? nb::dlpack::dtype_code::UInt
                    : kind == 'b' ? nb::dlpack::dtype_code::Bool
                                  : nb::dlpack::dtype_code::Complex;
  return {reinterpret_cast<void*>(address),
          shape.size(),
          shape.data(),
          std::move(owner),
          strides.data(),
          nb::dlpack::dtype{uint8_t(code), uint8_t(bits), 1},
          nb::device::cuda::value,
          gpu};
}

void bind_arrays(nb::module_& module) {
  module.def("gpu_of_address", &gpu_of_address, nb::arg("address"));
  module.def("cuda_array", &cuda_array, nb::arg("address"), nb::arg("gpu"), nb::arg("shape"),
             nb::arg("strides"), nb::arg("kind"), nb::arg("bits"), nb::arg("owner"));
  module.def("gpu_problem", [] { return gpu_report().problem; });
}

}  // namespace rec::python
