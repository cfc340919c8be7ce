// A training graph wherever arrays lie that it is used with.
#pragma once
#include <map>
#include <mutex>

#include "engine/graph.h"
#include "host/library/place.h"
#include "kernels/common/views.h"

namespace rec {

class PlacedGraph {
 public:
  // interactions: a checked CSR (checks.h), which is copied.
  explicit PlacedGraph(CsrView interactions);

  const Graph& on_host() const { return host_; }
  // In the memory of that place: the first call for a GPU copies it there, and waits. Several
  // threads may ask.
  const Graph& at(const Place& place);

 private:
  Graph host_;
  std::mutex copying_;
  std::map<int, Graph> of_gpu_;
};

}  // namespace rec
