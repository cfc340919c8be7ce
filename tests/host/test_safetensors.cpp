// safetensors: a round trip, files from elsewhere, and damage anywhere in a file of ours.
#include <catch2/catch.hpp>
#include <chrono>

#include "host/formats/safetensors.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

SafetensorsFile small_file() {
  return {{{"w1", {2, 2}, {1, 2, 3, 4}},
           {"b1", {3}, {-1, 0.5f, 9}},
           {"a scalar", {}, {7}},
           {"none", {0}, {}}},
          {{"seed", "101"}, {"title", "\"quoted\", \xC3\xA9\n"}}};
}

TEST_CASE("safetensors: what is written reads back, the same bytes each time") {
  const TemporaryFolder folder;
  const SafetensorsFile wanted = small_file();
  write_safetensors(folder / "a.safetensors", wanted);
  write_safetensors(folder / "b.safetensors", wanted);
  CHECK(get(folder / "a.safetensors") == get(folder / "b.safetensors"));
  CHECK(folder.names() == std::vector<std::string>{"a.safetensors", "b.safetensors"});
  const SafetensorsFile read = read_safetensors(folder / "a.safetensors");
  CHECK(read.metadata == wanted.metadata);
  CHECK(read.tensors.size() == wanted.tensors.size());
  for (const Tensor& tensor : wanted.tensors) {
    CAPTURE(tensor.name);
    REQUIRE(read.find(tensor.name) != nullptr);
    CHECK(read.find(tensor.name)->shape == tensor.shape);
    CHECK(read.find(tensor.name)->values == tensor.values);
  }
  CHECK(read.find("w2") == nullptr);
}

TEST_CASE("safetensors: the data begin at a multiple of 8 bytes") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", small_file());
  const std::string bytes = get(folder / "a.safetensors");
  CHECK(static_cast<unsigned char>(bytes[0]) % 8 == 0);
}

TEST_CASE("safetensors: files from elsewhere have no checksum") {
  const std::string header =
      R"( {"b":{"shape":[1],"dtype":"F32","data_offsets":[4,8]},)"
      R"("a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}})";
  const SafetensorsFile read =
      parse_safetensors(safetensors_bytes(header, raw<float>({1, 2})), "x");
  REQUIRE(read.tensors.size() == 2);
  CHECK(read.tensors[0].name == "a");
  CHECK(read.tensors[1].values == std::vector<float>{2});
  CHECK(read.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(parse_safetensors(safetensors_bytes("{}", ""), "x").tensors.empty());
}

TEST_CASE("safetensors: every flipped bit of a file of ours is noticed") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", small_file());
  const std::string good = get(folder / "a.safetensors");
  for (size_t byte = 0; byte < good.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
      CAPTURE(byte, bit);
      REQUIRE(refusal([&] { parse_safetensors(bad, "x"); }) != "");
    }
}

TEST_CASE("safetensors: a file of ours cut anywhere, or with more bytes, is noticed") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", small_file());
  const std::string good = get(folder / "a.safetensors");
  for (size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    REQUIRE(refusal([&] { parse_safetensors(good.substr(0, length), "x"); }) != "");
  }
  CHECK(refusal([&] { parse_safetensors(good + '\0', "x"); }) != "");
}

TEST_CASE("safetensors: the time to read grows with the number of tensors, not with its square") {
  std::string header = "{";
  constexpr int kTensors = 100'000;
  for (int t = 0; t < kTensors; ++t)
    header += (t ? ",\"t" : "\"t") + std::to_string(t) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  const std::string bytes = safetensors_bytes(header + "}", "");
  const auto began = std::chrono::steady_clock::now();
  CHECK(parse_safetensors(bytes, "x").tensors.size() == kTensors);
  // Well under a second as it should be (seconds under a sanitizer), two minutes at quadratic cost.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(40));
}

}  // namespace
}  // namespace rec::test
