#include "bench/traffic/counter.h"

#include <algorithm>
#include <utility>

#include "tests/emulator/device_runtime.h"

namespace rec::bench {
namespace {

constexpr int kBanks = 32;
constexpr uintptr_t kWordBytes = 4;

// Passes over the banks for accesses of `bytes` bytes by some lanes.
int64_t passes_of(const uintptr_t* address, int count, uint32_t bytes) {
  static std::vector<uintptr_t> words;
  words.clear();
  for (int a = 0; a < count; ++a)
    for (uintptr_t word = address[a] / kWordBytes; word <= (address[a] + bytes - 1) / kWordBytes;
         ++word)
      words.push_back(word);
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::array<int64_t, kBanks> of_bank{};
  for (uintptr_t word : words) ++of_bank[word % kBanks];
  return *std::max_element(of_bank.begin(), of_bank.end());
}

}  // namespace

size_t TrafficCounter::Hash::operator()(const Key& key) const {
  const auto bits = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  return (bits(key.site) * 31 + bits(key.kernel)) * 31 +
         (key.bytes * 4 + 2 * key.shared + key.writes);
}

uint32_t TrafficCounter::site_of(const Key& key) {
  const auto [found, is_new] = number_of_site_.try_emplace(key, uint32_t(sites_.size()));
  if (is_new) {
    SiteTraffic site;
    site.kernel = key.kernel;
    site.site = key.site;
    site.shared = key.shared;
    site.writes = key.writes;
    site.bytes_of_lane = key.bytes;
    sites_.push_back(site);
  }
  return found->second;
}

void TrafficCounter::add(const Access& access) {
  const emulator::Position at = emulator::position();
  if (at.thread < 0 || access.bytes == 0) return;
  const bool shared = emulator::is_shared_memory(access.address);
  if (!shared && !emulator::is_device_memory(access.address)) return;
  const unsigned lane = unsigned(at.thread) % kLanes;
  Warp& warp = warps_[unsigned(at.thread) / kLanes];
  if (warp.block != at.block || warp.meetings != at.meetings) {
    close(warp);
    warp.block = at.block;
    warp.meetings = at.meetings;
  }
  const uint32_t site = site_of({at.kernel, access.site, access.bytes, shared, access.writes});
  if (warp.pending.size() <= site) warp.pending.resize(site + 1);
  Pending& pending = warp.pending[site];
  const uint32_t place = pending.made[lane]++;
  if (pending.requests.empty()) warp.met.push_back(site);
  if (pending.requests.size() <= place) pending.requests.resize(place + 1);
  Request& request = pending.requests[place];
  request.address[lane] = reinterpret_cast<uintptr_t>(access.address);
  request.lanes |= 1u << lane;
}

void TrafficCounter::close(Warp& warp) {
  for (uint32_t site : warp.met) {
    Pending& pending = warp.pending[site];
    for (const Request& request : pending.requests) count(sites_[site], request);
    pending.requests.clear();
    pending.made = {};
  }
  warp.met.clear();
}

void TrafficCounter::count(SiteTraffic& site, const Request& request) {
  const uint32_t bytes = site.bytes_of_lane;
  ++site.requests;
  if (site.shared) {
    // Lanes that one pass can serve.
    const unsigned together =
        std::clamp<unsigned>(unsigned(kBanks * kWordBytes / bytes), 1, kLanes);
    for (unsigned first = 0; first < kLanes; first += together) {
      std::array<uintptr_t, kLanes> address;
      int count = 0;
      for (unsigned lane = first; lane < first + together; ++lane)
        if (request.lanes >> lane & 1) address[size_t(count++)] = request.address[lane];
      if (count == 0) continue;
      site.passes += passes_of(address.data(), count, bytes);
      ++site.passes_needed;
      site.bytes += count * int64_t{bytes};
    }
    return;
  }
  std::array<uintptr_t, kLanes> address;
  size_t count = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (request.lanes >> lane & 1) address[count++] = request.address[lane];
  if (!std::is_sorted(address.begin(), address.begin() + count))
    std::sort(address.begin(), address.begin() + count);
  int64_t distinct = 0;
  uintptr_t after = 0, next_sector = 0;  // the ends of what is counted already
  for (size_t a = 0; a < count; ++a) {
    const uintptr_t end = address[a] + bytes, end_sector = (end - 1) / kSectorBytes + 1;
    distinct += int64_t(end - std::max(address[a], std::min(after, end)));
    after = std::max(after, end);
    site.sectors += int64_t(end_sector -
                            std::max(address[a] / kSectorBytes, std::min(next_sector, end_sector)));
    next_sector = std::max(next_sector, end_sector);
  }
  site.bytes += distinct;
  site.sectors_needed += (distinct + kSectorBytes - 1) / kSectorBytes;
}

std::vector<SiteTraffic> TrafficCounter::take() {
  for (Warp& warp : warps_) {
    close(warp);
    warp.pending.clear();
  }
  number_of_site_.clear();
  return std::exchange(sites_, {});
}

TrafficCounter& traffic_counter() {
  static TrafficCounter one;
  return one;
}

}  // namespace rec::bench
