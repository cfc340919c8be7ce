// Domains: datasets that are trained together, side by side. The users of domain d follow those of
// domain d - 1, and so do its items. A user's items are of her own domain.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/common/views.h"

namespace rec {

struct Domain {
  int64_t users = 0, items = 0;
};

// Where a domain begins among all users and among all items.
struct DomainStart {
  int64_t user = 0, item = 0;
};

// [domains + 1]; the last is where all domains end.
inline std::vector<DomainStart> starts_of(const std::vector<Domain>& domains) {
  std::vector<DomainStart> starts(1);
  for (const Domain& domain : domains)
    starts.push_back({starts.back().user + domain.users, starts.back().item + domain.items});
  return starts;
}

// The domain of a user: the last that starts no later. start: [domains + 1]
constexpr int64_t domain_of_user(VectorView<const DomainStart> start, int64_t user) {
  int64_t domain = 0, after = start.size - 1;  // domain starts no later than user, after does
  while (after - domain > 1) {
    const int64_t middle = domain + (after - domain) / 2;
    (start[middle].user <= user ? domain : after) = middle;
  }
  return domain;
}

}  // namespace rec
