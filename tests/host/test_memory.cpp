// Memory that there is: limits of the address space count with what is mapped already.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "engine/backend.h"
#include "host/run/memory.h"

namespace rec::test {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// A limit of this process's address space while it lives.
class AddressSpaceLimit {
 public:
  explicit AddressSpaceLimit(int64_t bytes) {
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit limit = {rlim_t(bytes), before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &limit);
  }
  ~AddressSpaceLimit() { ::setrlimit(RLIMIT_AS, &before_); }
  AddressSpaceLimit(const AddressSpaceLimit&) = delete;
  AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;

 private:
  rlimit before_;
};

// Pages this process has mapped, touched or not: the first number of statm.
int64_t mapped_bytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

TEST_CASE("memory: a limit of the address space counts less what is mapped already") {
  // Address space without memory behind it: a limit taken whole would leave this much more.
  constexpr int64_t kMapped = 1024 * kMiB, kLeft = 64 * kMiB;
  void* mapped =
      ::mmap(nullptr, kMapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(mapped != MAP_FAILED);
  const std::unique_ptr<Backend> backend = make_backend("cpu", 1).backend;
  {
    const AddressSpaceLimit limit(mapped_bytes() + kLeft);
    CHECK(available_memory() <= kLeft);
    CHECK_THROWS_WITH(require_memory(*backend, kLeft + 1, "this"),
                      Catch::Contains("this needs 64.0 MiB"));
  }
  ::munmap(mapped, kMapped);
}

TEST_CASE("memory: sizes as people write them") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(3 * kMiB) == "3.0 MiB");
  CHECK(bytes_text(2560 * kMiB) == "2.5 GiB");
}

}  // namespace rec::test
