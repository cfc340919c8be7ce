// What the traffic tool (bench/traffic) counts of small kernels, against counts made by hand. Also
// that every operation of its table says why where it asks for more than the ledger.
#include <catch2/catch.hpp>
#include <vector>

#include "bench/traffic/counter.h"
#include "tests/support/on_backends.h"
#include "tests/support/values.h"
#include "tests/traffic/kernels_for_counting.h"

namespace rec {
namespace {

using bench::SiteTraffic;

constexpr int64_t kLanes = 32;

// The values lie in memory of the device, and begin at a multiple of 256 bytes.
using Floats = test::Values<float>;

// What the kernels that run puts into the stream ask for.
template <class Run>
std::vector<SiteTraffic> traffic_of(Run run) {
  bench::traffic_counter().take();
  run(test::test_stream());
  test::wait_for_device();
  return bench::traffic_counter().take();
}

// The requests of one kind, of all sites together.
SiteTraffic all(const std::vector<SiteTraffic>& sites, bool shared, bool writes) {
  SiteTraffic sum;
  for (const SiteTraffic& site : sites) {
    if (site.shared != shared || site.writes != writes) continue;
    sum.requests += site.requests;
    sum.bytes += site.bytes;
    sum.sectors += site.sectors;
    sum.sectors_needed += site.sectors_needed;
    sum.passes += site.passes;
    sum.passes_needed += site.passes_needed;
  }
  return sum;
}

}  // namespace

TEST_CASE("traffic: a copy in vectors asks for its bytes, and for whole sectors", "[traffic]") {
  constexpr int kWarps = 3;
  Floats from(4 * kLanes * kWarps, 1.0f), to(4 * kLanes * kWarps);
  const auto sites =
      traffic_of([&](auto stream) { test::copy_in_fours(from.data(), to.data(), kWarps, stream); });
  REQUIRE(sites.size() == 2);  // a load of 16 bytes is one, and so is a store
  for (const bool writes : {false, true}) {
    const SiteTraffic sum = all(sites, /*shared=*/false, writes);
    CHECK(sum.requests == kWarps);
    CHECK(sum.bytes == kWarps * kLanes * 16);
    CHECK(sum.sectors == kWarps * kLanes * 16 / 32);
    CHECK(sum.sectors_needed == sum.sectors);
  }
  CHECK(to == from);
}

TEST_CASE("traffic: what lies apart touches more sectors than its bytes need", "[traffic]") {
  const int stride = GENERATE(1, 2, 8, 100);
  CAPTURE(stride);
  Floats from(size_t(stride) * kLanes, 1.0f), to(kLanes);
  const auto sites = traffic_of(
      [&](auto stream) { test::copy_with_stride(from.data(), stride, to.data(), stream); });
  const SiteTraffic read = all(sites, false, false), written = all(sites, false, true);
  CHECK(read.bytes == kLanes * 4);
  CHECK(read.sectors_needed == 4);
  CHECK(read.sectors == (stride < 8 ? 4 * stride : kLanes));
  CHECK(written.sectors == 4);
}

TEST_CASE("traffic: rows that do not begin with a sector touch one more", "[traffic]") {
  Floats from(kLanes + 1, 1.0f), to(kLanes);
  const auto sites = traffic_of(
      [&](auto stream) { test::copy_with_stride(from.data() + 1, 1, to.data(), stream); });
  CHECK(all(sites, false, false).sectors == 5);
  CHECK(all(sites, false, false).sectors_needed == 4);
}

TEST_CASE("traffic: what all lanes read alike counts once", "[traffic]") {
  Floats from(1, 1.0f), to(kLanes);
  const auto sites =
      traffic_of([&](auto stream) { test::copy_one(from.data(), to.data(), stream); });
  const SiteTraffic read = all(sites, false, false);
  CHECK(read.requests == 1);
  CHECK(read.bytes == 4);
  CHECK(read.sectors == 1);
}

TEST_CASE("traffic: lanes that read more often go on with the others after they meet",
          "[traffic]") {
  Floats from(kLanes, 1.0f), to(kLanes);
  const auto sites =
      traffic_of([&](auto stream) { test::read_unevenly(from.data(), to.data(), stream); });
  const SiteTraffic read = all(sites, false, false);
  CHECK(read.requests == 3);  // all; half of them again; all, one value
  CHECK(read.bytes == 4 * (32 + 16 + 1));
  CHECK(read.sectors == 4 + 2 + 1);
  CHECK(read.sectors_needed == read.sectors);
  CHECK(to[0] == 2.0f);
  CHECK(to[31] == 3.0f);
}

TEST_CASE("traffic: lanes in one bank of shared memory take turns", "[traffic]") {
  const bool padded = GENERATE(false, true);
  CAPTURE(padded);
  Floats to(kLanes);
  const auto sites =
      traffic_of([&](auto stream) { test::sum_columns_by_rows(padded, to.data(), stream); });
  const SiteTraffic stored = all(sites, true, true), loaded = all(sites, true, false);
  CHECK(stored.requests == 32);
  CHECK(stored.passes == 32);  // a row: every lane a bank of its own
  CHECK(loaded.requests == 32);
  CHECK(loaded.passes == (padded ? 32 : 32 * 32));
  CHECK(loaded.passes_needed == 32);
  CHECK(to[31] == 32.0f);
}

TEST_CASE("traffic: vectors in shared memory go by half and quarter warps", "[traffic]") {
  const int width = GENERATE(2, 4);
  CAPTURE(width);
  Floats to(kLanes, 1.0f);
  const auto sites =
      traffic_of([&](auto stream) { test::shared_in_vectors(width, to.data(), stream); });
  for (const bool writes : {false, true}) {
    const SiteTraffic sum = all(sites, true, writes);
    CHECK(sum.requests == 1);
    CHECK(sum.bytes == kLanes * width * 4);
    CHECK(sum.passes == width);
    CHECK(sum.passes_needed == width);
  }
  CHECK(to[0] == 0.0f);
}

TEST_CASE("traffic: an atomic is one access and does its operation", "[traffic]") {
  test::Values<int32_t> sum(1, 5);
  const auto sites = traffic_of([&](auto stream) { test::count_lanes(sum.data(), stream); });
  CHECK(sum[0] == 5 + kLanes);
  CHECK(all(sites, false, false).requests == 0);
  CHECK(all(sites, false, true).requests == 1);
  CHECK(all(sites, false, true).bytes == 4);
}

TEST_CASE("traffic: memcpy in a kernel counts, on the host it does not", "[traffic]") {
  Floats from(16, 1.0f), to(16);
  const auto sites =
      traffic_of([&](auto stream) { test::copy_by_memcpy(from.data(), to.data(), stream); });
  for (const bool writes : {false, true}) {
    CHECK(all(sites, false, writes).bytes == 64);
    CHECK(all(sites, false, writes).sectors == 2);
  }
  CHECK(to == from);
}

}  // namespace rec
