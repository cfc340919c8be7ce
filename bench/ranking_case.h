// What ranking is timed and counted on: a list for every user, of random unit vectors, her training
// items left out.
#pragma once
#include <numeric>
#include <vector>

#include "bench/place.h"
#include "bench/shapes.h"
#include "kernels/ranking/ranking.h"

namespace rec::bench {

// Owns what the request reads where the place is the host.
struct RankingCase {
  HostMatrix user, item;
  std::vector<int32_t> everyone;
  RankingRequest request;

  RankingCase(const Shape& shape, Place& place)
      : user(HostMatrix::random_unit_rows(shape.users, shape.dim, 1)),
        item(HostMatrix::random_unit_rows(shape.items, shape.dim, 2)),
        everyone(static_cast<size_t>(shape.users)) {
    std::iota(everyone.begin(), everyone.end(), 0);
    request.user = place.put(user.view());
    request.item = place.put(item.view());
    request.user_row = request.user_id =
        place.put(VectorView<const int32_t>(everyone.data(), shape.users));
    request.mask[0] = place.put(graph_of(shape).view().items_of_user);
    request.masks = 1;
  }
  RankingCase(const RankingCase&) = delete;
  RankingCase& operator=(const RankingCase&) = delete;
};

}  // namespace rec::bench
