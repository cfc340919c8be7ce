#include "host/python/native/arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>

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

template <class T, class Array>
void require_array(const Array& array, const char* name, size_t dimensions) {
  const std::string wanted = type_name(nb::dtype<std::remove_const_t<T>>());
  if (array.device_type() != nb::device::cpu::value)
    throw std::runtime_error(fmt::format(
        "{}: expected an array in the computer's memory, given one on device {}:{}; this build has "
        "no CUDA, so move it with .cpu() or .get()",
        name, array.device_type(), array.device_id()));
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
VectorView<T> vector_of(const Array& array, const char* name) {
  require_array<T>(array, name, 1);
  return {static_cast<T*>(array.data()), int64_t(array.shape(0))};
}

template <class T, class Array>
MatrixView<T> matrix_of(const Array& array, const char* name) {
  require_array<T>(array, name, 2);
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
MatrixView<T> result_matrix(const Result& array, const char* name, int64_t rows, int64_t cols) {
  const MatrixView<T> view = matrix_of<T>(array, name);
  require_shape(view.rows == rows && view.cols == cols, name, rows, cols, array);
  return view;
}

template <class T>
VectorView<T> result_vector(const Result& array, const char* name, int64_t size) {
  const VectorView<T> view = vector_of<T>(array, name);
  if (view.size != size)
    throw nb::value_error(
        fmt::format("{}: expected shape ({},), given {}", name, size, described(array)).c_str());
  return view;
}

template <class T>
MatrixView<const T> as_rows(const Given& array, const char* name, size_t dimensions) {
  if (dimensions == 2) return matrix_of<const T>(array, name);
  const VectorView<const T> values = vector_of<const T>(array, name);
  return {values.data, values.size, 1};
}

}  // namespace

MatrixView<const float> float_matrix(const Given& array, const char* name) {
  return matrix_of<const float>(array, name);
}
VectorView<const int64_t> offsets(const Given& array, const char* name) {
  return vector_of<const int64_t>(array, name);
}
VectorView<const int32_t> ids(const Given& array, const char* name) {
  return vector_of<const int32_t>(array, name);
}
VectorView<const uint8_t> flags(const Given& array, const char* name) {
  const VectorView<const bool> view = vector_of<const bool>(array, name);
  return {reinterpret_cast<const uint8_t*>(view.data), view.size};
}

MatrixView<float> float_result(const Result& array, const char* name, int64_t rows, int64_t cols) {
  return result_matrix<float>(array, name, rows, cols);
}
MatrixView<int32_t> id_result(const Result& array, const char* name, int64_t rows, int64_t cols) {
  return result_matrix<int32_t>(array, name, rows, cols);
}
VectorView<int32_t> ids_result(const Result& array, const char* name, int64_t size) {
  return result_vector<int32_t>(array, name, size);
}
VectorView<double> double_result(const Result& array, const char* name, int64_t size) {
  return result_vector<double>(array, name, size);
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

}  // namespace rec::python
