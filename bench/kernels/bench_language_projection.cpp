#include <memory>

#include "bench/harness.h"
#include "kernels/language_projection/language_projection.h"
#include "tests/support/language.h"

namespace rec::bench {
namespace {

// Random vectors of the shape's language width, its users split at the threshold of the place, and
// the graph.
struct Language {
  HostMatrix item;
  test::HostLanguage split;
  LanguageView z;
  GraphView graph;
  std::shared_ptr<cuda::Gemm> gemm;  // of a GPU
  VectorView<std::byte> scratch;     // of a GPU

  Language(const Shape& shape, Place& place)
      : item(HostMatrix::random(shape.items, shape.language_width, 1)),
        split(test::make_language(
            graph_of(shape).view(), item.view(),
            place.choose(
                [&] { return cpu::hybrid_degree(shape.language_width); },
                [&](auto) { return cuda::hybrid_degree(shape.language_width, Precision::fp32); }))),
        z(place.put(split.view())),
        graph(place.put(graph_of(shape).view())),
        gemm(place.choose([] { return std::shared_ptr<cuda::Gemm>(); },
                          [](auto) { return std::make_shared<cuda::Gemm>(Precision::fp32); })),
        scratch(place.gpu_scratch([&](auto) {
          return cuda::projection_scratch_bytes<float, float>(shape.users, shape.items,
                                                              z.heavy_user.size, shape.hidden);
        })) {}

  // Edges of light users.
  double edges() const { return double(split.light_user_of_item.size()); }
};

// Products: an item's or heavy user's row times the weight, 2 D H flops, the same count in either
// direction. The additions of light users' edges are left out of the flops, so that the share is
// the part of the time that the products alone would need.
double product_flops(const Shape& shape, const LanguageView& z) {
  return 2.0 * double(shape.items + z.heavy.rows) * double(shape.language_width) *
         double(shape.hidden);
}

void forward(benchmark::State& state, const Shape& shape, Place& place) {
  const Language language(shape, place);
  const LanguageView& z = language.z;
  HostMatrix weight = HostMatrix::random(shape.hidden, shape.language_width, 2);
  HostMatrix bias(1, shape.hidden), outputs(shape.nodes(), shape.hidden);
  const LinearView layer = {place.put(weight.view()), place.put(bias.flat())};
  const MatrixView<float> pre = place.put(outputs.view());
  // Vectors of items and heavy users and the weight are read once. T, of items and heavy users, is
  // written as the bias, read and written by the product, and read to be copied: slab by slab into
  // scratch (items, written once more) or into the users' rows (heavy). Every light user's edge
  // reads a row of the scratch and an id, counted once though each slab reads it; every user's row
  // is written.
  const double row_bytes = 4.0 * double(shape.hidden),
               vector_bytes = 4.0 * double(shape.language_width);
  const double edges = language.edges();
  const Work work{.bytes = double(shape.items + z.heavy.rows + shape.hidden) * vector_bytes +
                           edges * (row_bytes + 4.0) +
                           double(5 * shape.items + 4 * z.heavy.rows + shape.users) * row_bytes,
                  .flops = product_flops(shape, z),
                  .limit = Limit::sgemm()};
  measure(
      state, work, place, [&] { cpu::project_language(z, language.graph, layer, pre); },
      [&](auto stream) {
        cuda::project_language(*language.gemm, z, language.graph, layer, pre, language.scratch,
                               stream);
      });
}

void backward(benchmark::State& state, const Shape& shape, Place& place) {
  const Language language(shape, place);
  const LanguageView& z = language.z;
  HostMatrix grad_weight(shape.hidden, shape.language_width), grad_bias(1, shape.hidden);
  const LinearGradientView grad = {place.put(grad_weight.view()), place.put(grad_bias.flat())};
  // A call adds to the items' rows: any other values would grow from call to call.
  HostMatrix zeros(shape.nodes(), shape.hidden);
  const MatrixView<float> grad_pre = place.put(zeros.view());
  // Light users' rows are read and written, scaled, slab by slab into scratch; heavy users' rows
  // are copied. Every light user's edge reads a row of the scratch and an id, counted once though
  // each slab reads it; the sum is added to an item's row, which is read and written. The bias
  // reads the items' and heavy users' rows once, and so does the product, which also reads the
  // vectors and writes the weight's gradient.
  const double row_bytes = 4.0 * double(shape.hidden),
               vector_bytes = 4.0 * double(shape.language_width);
  const double edges = language.edges();
  const Work work{.bytes = double(2 * z.light_user.size) * row_bytes + edges * (row_bytes + 4.0) +
                           4.0 * double(shape.items + z.heavy.rows) * row_bytes +
                           double(shape.items + z.heavy.rows + shape.hidden) * vector_bytes,
                  .flops = product_flops(shape, z),
                  .limit = Limit::sgemm()};
  measure(
      state, work, place,
      [&] { cpu::project_language_backward(z, language.graph, grad_pre, grad); },
      [&](auto stream) {
        cuda::project_language_backward(*language.gemm, z, language.graph, grad_pre, grad,
                                        language.scratch, stream);
      });
}

[[maybe_unused]] const bool forward_added =
    add_kernel_bench("language_projection/forward", forward);
[[maybe_unused]] const bool backward_added =
    add_kernel_bench("language_projection/backward", backward);

}  // namespace
}  // namespace rec::bench
