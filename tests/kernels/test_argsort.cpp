// argsort against std::stable_sort.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/argsort.h"
#include "tests/support/on_backends.h"
#include "tests/support/values.h"

namespace rec::test {
namespace {

constexpr int64_t kTile = 4096;  // what a block takes: sizes around it are tried

bool device_is_there() {
  if (backend_wanted("cuda") && test_stream() != nullptr) return true;
  WARN("argsort: not run, it is of the CUDA backend alone");
  return false;
}

struct Sorted {
  Values<int32_t> key, order;
};

Sorted argsort(const Values<int32_t>& key, int key_bits) {
  const int64_t count = int64_t(key.size());
  const Values<int32_t> before = key;
  Sorted sorted{Values<int32_t>(key.size(), -1), Values<int32_t>(key.size(), -1)};
  Values<std::byte> scratch(static_cast<size_t>(cuda::argsort_scratch_bytes(count)));
  on_device(cuda::argsort)({key.data(), count}, key_bits, {sorted.key.data(), count},
                           {sorted.order.data(), count}, {scratch.data(), int64_t(scratch.size())});
  CHECK(key == before);
  return sorted;
}

void check_sorts(const Values<int32_t>& key, int key_bits) {
  Values<int32_t> order(key.size()), sorted_key;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return key[size_t(a)] < key[size_t(b)]; });
  for (int32_t from : order) sorted_key.push_back(key[size_t(from)]);
  const Sorted got = argsort(key, key_bits);
  CHECK((got.key == sorted_key));  // without thousands of numbers in the failure's text
  CHECK((got.order == order));
}

Values<int32_t> random_keys(int64_t count, int64_t below, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int32_t> uniform(0, int32_t(below - 1));
  Values<int32_t> key(static_cast<size_t>(count));
  for (int32_t& k : key) k = uniform(random);
  return key;
}

}  // namespace

TEST_CASE("argsort: every size around a warp, a row of warps and a tile", "[kernels]") {
  if (!device_is_there()) return;
  for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{31}, int64_t{32}, int64_t{33},
                        int64_t{255}, int64_t{257}, int64_t{511}, int64_t{512}, int64_t{513},
                        int64_t{1025}, kTile - 1, kTile, kTile + 1, 2 * kTile, 2 * kTile + 513}) {
    CAPTURE(count);
    check_sorts(random_keys(count, 300, uint64_t(count)), 9);  // two passes
  }
}

TEST_CASE("argsort: every number of passes, and keys up to the last bit", "[kernels]") {
  if (!device_is_there()) return;
  for (int key_bits : {0, 1, 7, 8, 9, 15, 16, 17, 24, 25, 31}) {
    for (int64_t count : {int64_t{700}, kTile + 700}) {
      CAPTURE(key_bits, count);
      const int64_t below = int64_t{1} << key_bits;
      Values<int32_t> key = random_keys(count, below, uint64_t(key_bits));
      key[5] = key[300] = int32_t(below - 1);
      key[6] = key[301] = 0;
      check_sorts(key, key_bits);
    }
  }
}

TEST_CASE("argsort: equal keys keep their order", "[kernels]") {
  if (!device_is_there()) return;
  constexpr int64_t kCount = kTile + 1500;
  check_sorts(Values<int32_t>(kCount, 0), 8);
  check_sorts(Values<int32_t>(kCount, 255), 8);
  check_sorts(Values<int32_t>(kCount, 70000), 17);
  check_sorts(random_keys(kCount, 2, 21), 17);
  Values<int32_t> ascending(kCount);
  std::iota(ascending.begin(), ascending.end(), 0);
  check_sorts(ascending, 13);
  check_sorts({ascending.rbegin(), ascending.rend()}, 13);
}

TEST_CASE("argsort: more tiles than a block has threads", "[kernels]") {
  if (!device_is_there()) return;
  check_sorts(random_keys(257 * kTile - 5, 256, 22), 8);
}

TEST_CASE("argsort: refuses what does not fit", "[kernels]") {
  if (!device_is_there()) return;
  Values<int32_t> key(10), sorted_key(10), order(10);
  Values<std::byte> scratch(static_cast<size_t>(cuda::argsort_scratch_bytes(10)));
  const auto refused = [&](int64_t keys, int key_bits, int64_t orders, int64_t first_byte,
                           int64_t bytes, const char* why) {
    CHECK_THROWS_WITH(
        cuda::argsort({key.data(), keys}, key_bits, {sorted_key.data(), keys},
                      {order.data(), orders}, {scratch.data() + first_byte, bytes}, test_stream()),
        Catch::Contains(why));
  };
  const int64_t bytes = int64_t(scratch.size());
  refused(10, 4, 9, 0, bytes, "equal size");
  refused(10, 32, 10, 0, bytes, "0 to 31 bits");
  refused(10, -1, 10, 0, bytes, "0 to 31 bits");
  refused(10, 4, 10, 0, bytes - 1, "argsort_scratch_bytes");
  refused(10, 4, 10, 4, bytes, "aligned");
  refused(int64_t{1} << 31, 4, int64_t{1} << 31, 0, bytes, "2^31");
}

}  // namespace rec::test
