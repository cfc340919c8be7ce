// What kernels ask of memory, counted in the emulation as a GPU would see it.
//
// The kernels are compiled with -fsanitize=thread and linked without its runtime: instrumented.cpp
// defines the callbacks, and gives every access to the counter. Accesses of a warp's lanes from one
// place in the code are one request; which ones is told by how often each lane came past that place
// since the warp last met (fibres.h, Position). Where lanes go different ways in between, that pairs
// what a GPU might keep apart. Stacks and host memory are not counted.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tests/emulator/fibres.h"

namespace rec::bench {

// From where to what. An atomic is one access, which writes.
struct Access {
  const void* site;  // the instruction after it
  const void* address;
  uint32_t bytes;
  bool writes;
};

// All requests of one place in one kernel to one kind of memory.
struct SiteTraffic {
  const void* kernel = nullptr;  // what was launched
  const void* site = nullptr;
  bool shared = false, writes = false;
  uint32_t bytes_of_lane = 0;
  int64_t requests = 0;
  int64_t bytes = 0;  // what the lanes of a request read alike counts once
  // Of device memory: pieces of 32 bytes, aligned to 32.
  int64_t sectors = 0;
  int64_t sectors_needed = 0;  // if the bytes of a request lay side by side
  // Of shared memory: passes over its 32 banks of 4 bytes. A pass serves one word of every bank, to
  // all lanes that ask for it; accesses of 8 and 16 bytes go by half and quarter warps.
  int64_t passes = 0;
  int64_t passes_needed = 0;  // if no bank was asked for two words
};

class TrafficCounter {
 public:
  // By the running thread; not counted outside of kernels, or where the memory is the host's.
  void add(const Access& access);
  // What was counted since the last take, places in the order in which they were first met.
  std::vector<SiteTraffic> take();

 private:
  static constexpr unsigned kLanes = 32, kWarps = 32;
  static constexpr int64_t kSectorBytes = 32;
  // A request on its way: lanes that have not come are not in it.
  struct Request {
    std::array<uintptr_t, kLanes> address;
    uint32_t lanes = 0;
  };
  struct Pending {
    std::array<uint32_t, kLanes> made{};  // by each lane
    std::vector<Request> requests;
  };
  struct Warp {
    uint64_t block = 0;
    unsigned meetings = 0;
    std::vector<uint32_t> met;     // sites with requests
    std::vector<Pending> pending;  // by site
  };
  struct Key {
    const void* kernel;
    const void* site;
    uint32_t bytes;
    bool shared, writes;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  uint32_t site_of(const Key& key);
  void close(Warp& warp);
  static void count(SiteTraffic& site, const Request& request);

  std::unordered_map<Key, uint32_t, Hash> number_of_site_;
  std::vector<SiteTraffic> sites_;
  std::array<Warp, kWarps> warps_;
};

// The one that the callbacks give to.
TrafficCounter& traffic_counter();

}  // namespace rec::bench
