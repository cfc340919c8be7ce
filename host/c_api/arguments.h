// Arguments of C as views, checked.
//
// All throw std::invalid_argument: the argument's name, what is expected and what was given.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/c_api/rec.h"
#include "kernels/common/views.h"

namespace rec::c_api {

void require_given(const void* pointer, const char* name);

template <class T>
T& given(T* pointer, const char* name) {
  require_given(pointer, name);
  return *pointer;
}

// A place for what a call makes, null until it has.
template <class T>
T*& place(T** pointer, const char* name) {
  require_given(pointer, name);
  *pointer = nullptr;
  return *pointer;
}

// 0 or more; of may be null where there are none.
void require_count(int64_t count, const void* of, const char* name);

std::string text(const char* given, const char* name);
std::string text_or(const char* given, const char* otherwise);
std::vector<std::string> texts(const char* const* given, int64_t count, const char* name);

MatrixView<const float> matrix(const rec_matrix* given, const char* name);
// rows [rows, cols] that lie one after another.
MatrixView<float> result(float* given, const char* name, int64_t rows, int64_t cols);

enum class Order { any, ascending, ascending_with_repeats };
CsrView csr(const rec_csr* given, const char* name, Order order = Order::ascending);

// Ids from 0 to below limit. of: what they number, "users".
VectorView<const int32_t> ids(const int32_t* given, int64_t count, const char* name, const char* of,
                              int64_t limit);
std::vector<int64_t> cutoffs(const int64_t* given, int64_t count);

// "written is what fits, with a 0 behind it"; length may be null.
void give_text(std::string_view whole, char* text, int64_t capacity, int64_t* length);

}  // namespace rec::c_api
