// Reading and writing .npy: every type and version that is accepted, value by value. What is
// refused stands in test_bad_input_files.cpp.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "host/formats/npy.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

TEST_CASE("npy: every float type reads as float32, in each version") {
  const std::vector<float> wanted = {1.5f, -2, 0.25f, 0, 65504, -0.125f};
  const std::vector<double> doubles(wanted.begin(), wanted.end());
  const std::vector<uint16_t> halves = {0x3E00, 0xC000, 0x3400, 0x0000, 0x7BFF, 0xB000};
  for (int version : {1, 2, 3})
    for (const auto& [descr, values] : std::vector<std::pair<std::string, std::string>>{
             {"<f4", raw(wanted)}, {"<f8", raw(doubles)}, {"<f2", raw(halves)}}) {
      CAPTURE(version, descr);
      const std::string bytes = npy_bytes({descr, "(2, 3)", "False", version}, values);
      const NpyFile file(bytes, "x.npy");
      CHECK(file.header().shape == std::vector<int64_t>{2, 3});
      CHECK(file.as_float32() == wanted);
      CHECK(file.as_float64() == doubles);
    }
}

TEST_CASE("npy: int32 and int64 read as int64, also in Fortran order when one-dimensional") {
  const std::vector<int64_t> wanted = {0, -1, 2147483647};
  const std::string narrow = npy_bytes({"<i4", "(3,)", "True"}, raw<int32_t>({0, -1, 2147483647}));
  CHECK(NpyFile(narrow, "x.npy").as_int64() == wanted);
  const std::string wide = npy_bytes({"<i8", "(3L,)"}, raw(wanted));  // as Python 2 wrote it
  CHECK(NpyFile(wide, "x.npy").as_int64() == wanted);
}

TEST_CASE("npy: half precision is exact for every one of its values") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = int(bits >> 10) & 31, fraction = int(bits) & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;
    const float value = half_to_float(static_cast<uint16_t>(bits));
    if (exponent == 31) {
      REQUIRE((fraction == 0 ? std::isinf(value) : std::isnan(value)));
      continue;
    }
    const double wanted =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    REQUIRE(double(value) == sign * wanted);
    REQUIRE(std::signbit(value) == (sign < 0));
  }
}

TEST_CASE("npy: float32 is used where it lies, other types are not") {
  const TemporaryFolder folder;
  put(folder / "f4.npy", npy_bytes({"<f4", "(2, 1)"}, raw<float>({3, 4})));
  put(folder / "f2.npy", npy_bytes({"<f2", "(2, 1)"}, raw<uint16_t>({0, 1})));
  NpyFile mapped(folder / "f4.npy");
  REQUIRE(mapped.float32_in_place() != nullptr);
  const NpyFile moved = std::move(mapped);
  CHECK(moved.float32_in_place()[1] == 4);
  CHECK(NpyFile(folder / "f2.npy").float32_in_place() == nullptr);
}

TEST_CASE("npy: an array without values, and one without dimensions") {
  CHECK(NpyFile(npy_bytes({"<f4", "(0, 8)"}, ""), "x.npy").as_float32().empty());
  CHECK(NpyFile(npy_bytes({"<f4", "()"}, raw<float>({7})), "x.npy").as_float32() ==
        std::vector<float>{7});
}

TEST_CASE("npy: what is written reads back, the same bytes each time") {
  const TemporaryFolder folder;
  const std::vector<float> values = {1, 2, 99, 3, 4, 99};  // two columns of a stride of three
  const MatrixView<const float> matrix(values.data(), 2, 2, 3);
  write_npy(folder / "m.npy", matrix);
  const std::string first = get(folder / "m.npy");
  write_npy(folder / "m.npy", matrix);
  CHECK(get(folder / "m.npy") == first);
  CHECK(folder.names() == std::vector<std::string>{"m.npy"});
  const NpyFile file(folder / "m.npy");
  CHECK(file.header().data_offset % 64 == 0);
  CHECK(file.header().shape == std::vector<int64_t>{2, 2});
  CHECK(file.as_float32() == std::vector<float>{1, 2, 3, 4});

  const std::vector<int32_t> ids = {5, -6};
  write_npy(folder / "ids.npy", VectorView<const int32_t>(ids.data(), 2));
  CHECK(NpyFile(folder / "ids.npy").header().shape == std::vector<int64_t>{2});
  CHECK(NpyFile(folder / "ids.npy").as_int64() == std::vector<int64_t>{5, -6});
}

TEST_CASE("npy: rows without a direction are named") {
  std::vector<float> z = {1, 0, 0, 2, 3, 4};
  const MatrixView<const float> rows(z.data(), 3, 2);
  CHECK(refusal([&] { require_directions(rows, "z"); }) == "");
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -INFINITY}) {
    z[5] = bad;
    CHECK_THAT(refusal([&] { require_directions(rows, "z"); }),
               Catch::Contains("z: row 2") && Catch::Contains("not finite"));
  }
  z[5] = 4, z[3] = -0.0f;
  CHECK_THAT(refusal([&] { require_directions(rows, "z"); }),
             Catch::Contains("row 1") && Catch::Contains("all zero"));
}

}  // namespace
}  // namespace rec::test
