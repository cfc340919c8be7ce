#include "host/library/placed_graph.h"

#include "host/library/threads.h"

namespace rec {

PlacedGraph::PlacedGraph(CsrView interactions) : host_(*cpu_backend(), interactions) {}

const Graph& PlacedGraph::at(const Place& place) {
  if (place.is_host()) return host_;
  const std::lock_guard lock(copying_);
  const auto found = of_gpu_.find(place.gpu);
  if (found != of_gpu_.end()) return found->second;
  return of_gpu_.emplace(place.gpu, Graph(*lasting_backend(place.gpu), host_.view().items_of_user))
      .first->second;
}

}  // namespace rec
