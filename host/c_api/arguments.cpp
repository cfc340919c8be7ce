#include "host/c_api/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "host/library/checks.h"

namespace rec::c_api {
namespace {

constexpr int64_t kMostValues = std::numeric_limits<ptrdiff_t>::max() / int64_t{sizeof(double)};

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

void require_size(int64_t rows, int64_t cols, int64_t stride, const char* name) {
  if (rows < 0 || cols < 0)
    refuse(
        fmt::format("{}: expected 0 or more rows and columns, given {} and {}", name, rows, cols));
  if (stride < cols)
    refuse(
        fmt::format("{}: expected rows that lie one after another, given {} columns and a stride "
                    "of {}",
                    name, cols, stride));
  if (rows > 0 && stride > kMostValues / rows)
    refuse(
        fmt::format("{}: expected a matrix that fits into memory, given {} rows and a stride of "
                    "{}",
                    name, rows, stride));
}

}  // namespace

void require_given(const void* pointer, const char* name) {
  if (pointer == nullptr) refuse(fmt::format("{}: expected a pointer, given NULL", name));
}

void require_count(int64_t count, const void* of, const char* name) {
  if (count < 0 || count > kMostValues)
    refuse(fmt::format("{}: expected a count from 0 on, given {}", name, count));
  if (count > 0) require_given(of, name);
}

std::string text(const char* given, const char* name) {
  require_given(given, name);
  return given;
}

std::string text_or(const char* given, const char* otherwise) {
  return given == nullptr ? otherwise : given;
}

std::vector<std::string> texts(const char* const* given, int64_t count, const char* name) {
  require_count(count, given, name);
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(text(given[i], name));
  return all;
}

MatrixView<const float> matrix(const rec_matrix* given, const char* name) {
  require_given(given, name);
  const int64_t stride = given->stride == 0 ? given->cols : given->stride;
  require_size(given->rows, given->cols, stride, name);
  if (given->rows > 0 && given->cols > 0) require_given(given->data, name);
  return {given->data, given->rows, given->cols, stride};
}

MatrixView<float> result(float* given, const char* name, int64_t rows, int64_t cols) {
  if (rows > 0 && cols > 0) require_given(given, name);
  return {given, rows, cols};
}

CsrView csr(const rec_csr* given, const char* name, Order order) {
  require_given(given, name);
  if (given->users < 0 || given->items < 0 || given->entries < 0)
    refuse(fmt::format("{}: expected 0 or more users, items and entries, given {}, {} and {}", name,
                       given->users, given->items, given->entries));
  require_given(given->row_start, name);
  if (given->entries > 0) require_given(given->item, name);
  const CsrView view{given->users, given->items, given->row_start, given->item};
  require_offsets(view, given->entries, name);
  if (order != Order::any)
    require_sorted_items(view, order == Order::ascending_with_repeats, name);
  else
    ids(given->item, given->entries, name, "items", given->items);
  return view;
}

VectorView<const int32_t> ids(const int32_t* given, int64_t count, const char* name, const char* of,
                              int64_t limit) {
  require_count(count, given, name);
  std::for_each_n(given, count, [&](int32_t id) { require_id(id, name, of, limit); });
  return {given, count};
}

std::vector<int64_t> cutoffs(const int64_t* given, int64_t count) {
  require_count(count, given, "cutoffs");
  if (count == 0) refuse("cutoffs: expected at least one, given none");
  for (int64_t c = 0; c < count; ++c)
    if (given[c] < 1)
      refuse(fmt::format("cutoffs: expected numbers from 1 on, given {}", given[c]));
  return {given, given + count};
}

void give_text(std::string_view whole, char* text, int64_t capacity, int64_t* length) {
  require_count(capacity, text, "text");
  if (capacity > 0) {
    const size_t fits = std::min(whole.size(), size_t(capacity - 1));
    std::memcpy(text, whole.data(), fits);
    text[fits] = 0;
  }
  if (length != nullptr) *length = int64_t(whole.size());
}

}  // namespace rec::c_api
