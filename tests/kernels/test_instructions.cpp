// The wrappers of kernels/common/gpu_ptx.h and the bfloat16 of vector_io.cuh do what they say, on a
// GPU and emulated.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/common/bf16.h"
#include "tests/kernels/instructions.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"
#include "tests/support/operands.h"
#include "tests/support/values.h"

namespace rec::test {
namespace {

template <class T>
VectorView<T> view(Values<T>& values) {
  return {values.data(), int64_t(values.size())};
}

// Every power of two with every value of the next bits around the place where it is rounded: ties
// to either side, their neighbours, what rounds up to the next power; and what is no normal number.
Values<float> awkward_values() {
  Values<float> all;
  for (const uint32_t exponent : {0u, 1u, 2u, 60u, 126u, 127u, 128u, 200u, 253u, 254u})
    for (const uint32_t upper : {0u, 1u, 2u, 0x3Fu, 0x7Eu, 0x7Fu})
      for (const uint32_t lower : {0u, 1u, 0xFFFu, 0x1000u, 0x1001u, 0x2000u, 0x2FFFu, 0x3000u,
                                   0x3001u, 0x7FFFu, 0x8000u, 0x8001u, 0xEFFFu, 0xF000u, 0xFFFFu})
        for (const uint32_t sign : {0u, 1u})
          all.push_back(std::bit_cast<float>(sign << 31 | exponent << 23 | upper << 16 | lower));
  for (const float x : {std::numeric_limits<float>::infinity(), 0.1f, 1.0f / 3.0f}) {
    all.push_back(x);
    all.push_back(-x);
  }
  return all;
}
// One with a payload that the upper bits do not show.
Values<float> nans() {
  Values<float> all;
  for (const uint32_t bits : {0x7FC00000u, 0xFFC00000u, 0x7F800001u, 0xFF800001u, 0x7FFFFFFFu})
    all.push_back(std::bit_cast<float>(bits));
  return all;
}
float from_bf16(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

// What rounds beyond the largest number becomes infinity.
bool is(float got, double want) {
  const float as_float = float(want);
  return got == as_float && std::signbit(got) == std::signbit(as_float);
}

bool has_device() { return backend_wanted("cuda") && test_stream() != nullptr; }

}  // namespace

TEST_CASE("instructions: bf16_pair rounds both to the nearest, the first below", "[kernels]") {
  if (!has_device()) return;
  Values<float> low = awkward_values(), high(low.rbegin(), low.rend());
  Values<uint32_t> pair(low.size());
  pair_up(view(low), view(high), view(pair), test_stream());
  wait_for_device();
  for (size_t i = 0; i < low.size(); ++i) {
    CAPTURE(i, low[i], high[i], pair[i]);
    CHECK(is(from_bf16(pair[i] & 0xFFFF), bf16_value(low[i])));
    CHECK(is(from_bf16(pair[i] >> 16), bf16_value(high[i])));
    CHECK(to_bf16(low[i]).bits == (pair[i] & 0xFFFF));
  }
  Values<float> nan = nans();
  Values<uint32_t> of_nan(nan.size());
  pair_up(view(nan), view(nan), view(of_nan), test_stream());
  wait_for_device();
  for (const uint32_t bits : of_nan)
    CHECK((std::isnan(from_bf16(bits & 0xFFFF)) && std::isnan(from_bf16(bits >> 16))));
}

TEST_CASE("instructions: tf32_bits rounds to the nearest, ties away from zero", "[kernels]") {
  if (!has_device()) return;
  constexpr uint32_t kSeen = 0xFFFFE000u;  // by a product
  Values<float> x = awkward_values();
  Values<uint32_t> bits(x.size());
  round_to_tf32(view(x), view(bits), test_stream());
  wait_for_device();
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i, x[i], bits[i]);
    CHECK(is(std::bit_cast<float>(bits[i] & kSeen), tf32_value(x[i])));
  }
  Values<float> nan = nans();
  Values<uint32_t> of_nan(nan.size());
  round_to_tf32(view(nan), view(of_nan), test_stream());
  wait_for_device();
  for (const uint32_t of : of_nan) CHECK(std::isnan(std::bit_cast<float>(of & kSeen)));
}

// Small whole numbers, so that every sum is exact; no two rows or columns are alike.
TEST_CASE("instructions: d += a b by tensor cores, every place", "[kernels]") {
  if (!has_device()) return;
  const Precision precision = GENERATE(Precision::bf16, Precision::tf32);
  const int64_t depth = precision == Precision::bf16 ? 16 : 8;
  CAPTURE(depth);
  GuardedMatrix a(16, depth), b(depth, 8), d(16, 8);
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> whole(-100, 100);
  for (GuardedMatrix* m : {&a, &b, &d})
    for (int64_t r = 0; r < m->view().rows; ++r)
      for (int64_t c = 0; c < m->view().cols; ++c) m->view()(r, c) = float(whole(random));
  const GuardedMatrix before = d;
  multiply_once(precision, a.view(), b.view(), d.view(), test_stream());
  wait_for_device();
  for (int64_t i = 0; i < 16; ++i)
    for (int64_t j = 0; j < 8; ++j) {
      float sum = before.view()(i, j);
      for (int64_t k = 0; k < depth; ++k) sum += a.view()(i, k) * b.view()(k, j);
      CAPTURE(i, j);
      CHECK(d.view()(i, j) == sum);
    }
  CHECK(d.guards_untouched());
}

TEST_CASE("instructions: bfloat16 by 1, 2 and 4 values", "[kernels]") {
  if (!has_device()) return;
  const int width = GENERATE(1, 2, 4);
  CAPTURE(width);
  Values<float> x = awkward_values();
  const int64_t count = int64_t(x.size()) / 4 * 4 - 4;  // what is behind stays
  Values<Bf16> from(x.size()), stored(x.size(), Bf16{0x1234});
  for (size_t i = 0; i < x.size(); ++i) from[i] = Bf16{uint16_t(i * 37 + 5)};
  Values<float> widened(x.size(), 7.0f);
  load_and_store(width, {from.data(), count}, view(widened), view(x), view(stored), test_stream());
  wait_for_device();
  for (int64_t i = 0; i < int64_t(x.size()); ++i) {
    CAPTURE(i);
    const size_t at = size_t(i);
    if (i < count) {
      CHECK(std::bit_cast<uint32_t>(widened[at]) == uint32_t{from[at].bits} << 16);
      CHECK(is(to_float(stored[at]), bf16_value(x[at])));
    } else {
      CHECK(widened[at] == 7.0f);
      CHECK(stored[at].bits == 0x1234);
    }
  }
}

}  // namespace rec::test
