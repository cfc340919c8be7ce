// Matrices whose values are stored as one of several types, known when the program runs: float, or
// Bf16 where a backend stores so. `as` gives the typed view that kernels take.
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/common/bf16.h"
#include "kernels/common/check.h"
#include "kernels/common/views.h"

namespace rec {

enum class Element { float32, bfloat16 };

template <class T>
inline constexpr Element kElementOf = Element::float32;
template <>
inline constexpr Element kElementOf<Bf16> = Element::bfloat16;

constexpr int64_t bytes_of(Element element) {
  return element == Element::float32 ? int64_t{sizeof(float)} : int64_t{sizeof(Bf16)};
}

// [rows, cols] of element; row r starts at data + r * stride values. Memory: void, or const void
// for a view to read through.
template <class Memory>
struct StoredViewOf {
  template <class T>
  using Value = std::conditional_t<std::is_const_v<Memory>, const T, T>;

  Memory* data = nullptr;
  int64_t rows = 0, cols = 0, stride = 0;
  Element element = Element::float32;

  StoredViewOf() = default;
  StoredViewOf(MatrixView<Value<float>> m) : StoredViewOf(m, 0) {}
  StoredViewOf(MatrixView<Value<Bf16>> m) : StoredViewOf(m, 0) {}
  template <class T>
  requires(std::is_const_v<Memory> && !std::is_const_v<T>) StoredViewOf(MatrixView<T> m)
      : StoredViewOf(MatrixView<const T>(m)) {}
  template <class Other>
  requires(std::is_const_v<Memory> && !std::is_const_v<Other>) StoredViewOf(StoredViewOf<Other> m)
      : data(m.data), rows(m.rows), cols(m.cols), stride(m.stride), element(m.element) {}

  // T: float or Bf16. Throws std::invalid_argument when the values are not stored so.
  template <class T>
  MatrixView<Value<T>> as() const {
    require(element == kElementOf<T>, "stored view: the values are of another type");
    return {static_cast<Value<T>*>(data), rows, cols, stride};
  }

 private:
  template <class T>
  StoredViewOf(MatrixView<T> m, int)
      : data(m.data),
        rows(m.rows),
        cols(m.cols),
        stride(m.stride),
        element(kElementOf<std::remove_const_t<T>>) {}
};
using StoredView = StoredViewOf<void>;
using ConstStoredView = StoredViewOf<const void>;

}  // namespace rec
