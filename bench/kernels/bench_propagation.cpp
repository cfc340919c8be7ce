#include "bench/harness.h"
#include "kernels/propagation/propagation.h"

namespace rec::bench {
namespace {

constexpr int kLayers = 2;

void propagate(benchmark::State& state, const Shape& shape, Place& place) {
  const GraphView graph = place.put(graph_of(shape).view());
  HostMatrix random = HostMatrix::random(shape.nodes(), shape.dim, 1);
  HostMatrix zeros(2 * shape.nodes(), shape.dim), more_zeros(shape.nodes(), shape.dim);
  const MatrixView<const float> x = place.put(random.view());
  const MatrixView<float> scratch = place.put(zeros.view()), e = place.put(more_zeros.view());
  // A hop meets every edge from both ends: each time a 4-byte id and a row of dim floats, added up.
  // Per node it reads what e holds so far and writes e and the next source, and the first source is
  // made from x: (3 per hop + 2) rows.
  const double row_bytes = 4.0 * double(shape.dim);
  const double meetings = 2.0 * kLayers * double(shape.edges);
  const Work work{
      .bytes = meetings * (4.0 + row_bytes) + (3 * kLayers + 2) * double(shape.nodes()) * row_bytes,
      .flops = meetings * double(shape.dim),
      .limit = Limit::gather(row_bytes, row_bytes * double(shape.users))};
  measure(
      state, work, place, [&] { cpu::propagate(graph, kLayers, {}, x, scratch, e); },
      [&](auto stream) { cuda::propagate(graph, kLayers, {}, x, scratch, e, stream); });
}

[[maybe_unused]] const bool added = add_kernel_bench("propagation", propagate);

}  // namespace
}  // namespace rec::bench
