#include "bench/harness.h"
#include "kernels/propagation/propagation.h"

namespace rec::bench {
namespace {

constexpr int kLayers = 2;

void propagate(benchmark::State& state, const Shape& shape) {
  const GraphView graph = graph_of(shape).view();
  HostMatrix x = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix scratch(2 * shape.nodes(), shape.dim), e(shape.nodes(), shape.dim);
  // A hop meets every edge from both ends: each time a 4-byte id and a row of dim floats, added up.
  // Per node it reads what e holds so far and writes e and the next source, and the first source is
  // made from x: (3 per hop + 2) rows.
  const double row_bytes = 4.0 * double(shape.dim);
  const double meetings = 2.0 * kLayers * double(shape.edges);
  const Work work{
      .bytes = meetings * (4.0 + row_bytes) + (3 * kLayers + 2) * double(shape.nodes()) * row_bytes,
      .flops = meetings * double(shape.dim),
      .limit = Limit::gather(row_bytes, row_bytes * double(shape.users))};
  measure(state, work, [&] { cpu::propagate(graph, kLayers, x.view(), scratch.view(), e.view()); });
}

[[maybe_unused]] const bool added = add_kernel_bench("propagation", propagate);

}  // namespace
}  // namespace rec::bench
