// language_projection against projecting every node's own mean vector in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/language_projection/language_projection.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/language.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct Projection {
  std::string backend;
  std::function<void(const LanguageView&, const GraphView&, const LinearView&, MatrixView<float>)>
      forward;
  std::function<void(const LanguageView&, const GraphView&, MatrixView<float>,
                     const LinearGradientView&)>
      backward;
};
const Projection kCpu{"cpu", cpu::project_language, cpu::project_language_backward};

#if defined(REC_CUDA)
// Runs one of cuda's functions, its rows stored as Pre, with a product library and scratch of its
// own.
template <class Pre, class Kernel, class T, class... Arguments>
void run_on_device(Kernel kernel, const LanguageViewOf<T>& z, const GraphView& graph, int64_t out,
                   Arguments... arguments) {
  cuda::Gemm gemm(Precision::fp32);
  Values<std::byte> scratch(size_t(
      cuda::projection_scratch_bytes<T, Pre>(graph.users(), graph.items(), z.heavy.rows, out)));
  kernel(gemm, z, graph, arguments...,
         VectorView<std::byte>(scratch.data(), int64_t(scratch.size())), test_stream());
  wait_for_device();
}
#endif

std::vector<Projection> backends() {
  return on_backends<Projection>(
      [] { return kCpu; },
      [](auto) {
        return Projection {
#if defined(REC_CUDA)
          "cuda",
              [](const LanguageView& z, const GraphView& graph, const LinearView& layer,
                 MatrixView<float> pre) {
                run_on_device<float>(cuda::project_language<float, float>, z, graph, pre.cols,
                                     layer, pre);
              },
              [](const LanguageView& z, const GraphView& graph, MatrixView<float> grad_pre,
                 const LinearGradientView& grad) {
                run_on_device<float>(cuda::project_language_backward<float, float>, z, graph,
                                     grad_pre.cols, grad_pre, grad);
              }
#endif
        };
      });
}

// Everyone a row of the GEMM; long histories only; everyone gathered.
constexpr int64_t kThresholds[] = {0, 2, kNobodyHeavy};

struct Widths {
  int64_t language, out;
  bool has_bias = true;
  bool aligned = false;
};
GuardedMatrix matrix(int64_t rows, int64_t cols, bool aligned) {
  return aligned ? GuardedMatrix::aligned(rows, cols) : GuardedMatrix(rows, cols, 5);
}
constexpr Widths kWidths[] = {{1, 1, true},     {31, 33, false},       {32, 64, true},
                              {33, 31, false},  {64, 200, true},       {33, 200, false},
                              {200, 32, false}, {32, 132, true, true}, {8, 66, false, true}};

// And with lists so long that a GPU shares them out among a block's warps, several in one block:
// of users, forward, and of items, backward.
std::vector<HostGraph> graphs() {
  std::vector<HostGraph> all = awkward_graphs();
  constexpr int32_t kLong = 300;
  std::vector<std::vector<int32_t>> histories(4);
  for (int32_t u = 0; u < 4; ++u)
    for (int32_t i = u; i < kLong + 3 * u; ++i) histories[size_t(u)].push_back(i);
  all.push_back(make_graph("four long histories", histories, kLong + 10));
  std::vector<std::vector<int32_t>> triples(kLong, {0, 1, 2});
  triples[7] = {1, 2, 3};
  all.push_back(make_graph("three items with many users", triples, 4));
  return all;
}

// Values in double, row-major, and how far the float answer may be from each.
struct Expected {
  int64_t cols = 0;
  std::vector<double> value, bound;

  Expected(int64_t rows, int64_t columns)
      : cols(columns), value(size_t(rows * columns)), bound(value.size()) {}
  void set(int64_t r, int64_t c, double what, double error) {
    value[size_t(r * cols + c)] = what;
    bound[size_t(r * cols + c)] = error;
  }
};

void check(MatrixView<const float> got, const Expected& want) {
  Agreement agreement;
  for (int64_t r = 0; r < got.rows; ++r)
    for (int64_t c = 0; c < got.cols; ++c) {
      const size_t at = size_t(r * want.cols + c);
      agreement.compare(got(r, c), want.value[at], want.bound[at], "row ", r, ", column ", c);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

// <got, with> in double, and how far it may be off.
struct Product {
  double value = 0, bound = 0;

  void add(MatrixView<const float> got, const Expected& want, MatrixView<const float> with) {
    for (int64_t r = 0; r < got.rows; ++r)
      for (int64_t c = 0; c < got.cols; ++c) {
        value += double(got(r, c)) * with(r, c);
        bound += want.bound[size_t(r * want.cols + c)] * std::abs(with(r, c));
      }
  }
};

// Every node's own language vector, users then items: what the kernel never makes.
struct NodeVectors {
  int64_t width;
  std::vector<double> mean, mean_magnitude;  // [nodes, width]
  std::vector<int64_t> vectors;              // [nodes]: how many the mean is of; 0: there is none

  NodeVectors(const GraphView& graph, MatrixView<const float> z)
      : width(z.cols), mean(size_t(graph.nodes() * z.cols), 0.0), mean_magnitude(mean) {
    const auto take = [&](int64_t node, int32_t item, double share) {
      for (int64_t d = 0; d < width; ++d) {
        mean[size_t(node * width + d)] += share * z(item, d);
        mean_magnitude[size_t(node * width + d)] += share * std::abs(double(z(item, d)));
      }
    };
    for (int64_t u = 0; u < graph.users(); ++u) {
      const int64_t degree = graph.items_of_user.degree(u);
      vectors.push_back(degree);
      for (int64_t j = 0; j < degree; ++j)
        take(u, graph.items_of_user.row(u)[j], 1.0 / double(degree));
    }
    for (int64_t i = 0; i < graph.items(); ++i) {
      vectors.push_back(1);
      take(graph.users() + i, int32_t(i), 1.0);
    }
  }
  int64_t nodes() const { return int64_t(vectors.size()); }
};

// weight [out, width]; bias [1, out] or no rows. Light users meet most roundings: width in a
// product, one addition a vector, 1 / degree, the product with it, the bias.
Expected plain_projection(const NodeVectors& z, MatrixView<const float> weight,
                          MatrixView<const float> bias) {
  Expected pre(z.nodes(), weight.rows);
  for (int64_t n = 0; n < z.nodes(); ++n)
    for (int64_t o = 0; o < weight.rows && z.vectors[size_t(n)] > 0; ++o) {
      double value = bias.rows > 0 ? bias(0, o) : 0.0, magnitude = std::abs(value);
      for (int64_t d = 0; d < z.width; ++d) {
        value += weight(o, d) * z.mean[size_t(n * z.width + d)];
        magnitude += std::abs(weight(o, d)) * z.mean_magnitude[size_t(n * z.width + d)];
      }
      pre.set(n, o, value, rounding_bound(z.width + z.vectors[size_t(n)] + 3, magnitude));
    }
  return pre;
}

// grad_W: a light user's gradient is scaled (two roundings) and added into the rows of her items,
// at most `users` additions; each node's product is then one of at most `nodes` terms.
Expected plain_weight_gradient(const NodeVectors& z, int64_t users,
                               MatrixView<const float> grad_pre) {
  Expected weight(grad_pre.cols, z.width);
  for (int64_t o = 0; o < grad_pre.cols; ++o)
    for (int64_t d = 0; d < z.width; ++d) {
      double value = 0, magnitude = 0;
      for (int64_t n = 0; n < z.nodes(); ++n) {
        value += grad_pre(n, o) * z.mean[size_t(n * z.width + d)];
        magnitude += std::abs(grad_pre(n, o)) * z.mean_magnitude[size_t(n * z.width + d)];
      }
      weight.set(o, d, value, rounding_bound(z.nodes() + users + 2, magnitude));
    }
  return weight;
}

// grad_b: the column sum, in double, of what grad_W is made of, so a light user's gradient reaches
// it by way of her items, scaled and added there in float.
Expected plain_bias_gradient(const NodeVectors& z, int64_t users,
                             MatrixView<const float> grad_pre) {
  Expected bias(1, grad_pre.cols);
  for (int64_t o = 0; o < grad_pre.cols; ++o) {
    Sum sum;
    for (int64_t n = 0; n < z.nodes(); ++n)
      if (z.vectors[size_t(n)] > 0) sum.add(grad_pre(n, o));
    bias.set(0, o, sum.value, rounding_bound(users + 3, sum.magnitude));
  }
  return bias;
}

VectorView<float> as_vector(GuardedMatrix& row) {
  return {row.view().data, row.view().rows * row.view().cols};
}
VectorView<const float> as_vector(const GuardedMatrix& row) {
  return {row.view().data, row.view().rows * row.view().cols};
}

struct Parameters {
  GuardedMatrix weight, bias;

  explicit Parameters(Widths widths)
      : weight(matrix(widths.out, widths.language, widths.aligned)),
        bias(widths.has_bias ? 1 : 0, widths.out) {}
  Parameters& fill_normal(std::mt19937_64& random) {
    weight.fill_normal(random);
    bias.fill_normal(random);
    return *this;
  }
  LinearView view() const { return {weight.view(), as_vector(bias)}; }
  LinearGradientView gradient_view() { return {weight.view(), as_vector(bias)}; }
  bool guards_untouched() const { return weight.guards_untouched() && bias.guards_untouched(); }
};

GuardedMatrix projected(const Projection& on, const GraphView& graph, const GuardedMatrix& z,
                        int64_t hybrid_degree, const Parameters& parameters, bool aligned = false) {
  const HostLanguage language = make_language(graph, z.view(), hybrid_degree);
  GuardedMatrix pre = matrix(graph.nodes(), parameters.weight.view().rows, aligned);
  on.forward(language.view(), graph, parameters.view(), pre.view());
  CHECK(pre.guards_untouched());
  return pre;
}

Parameters gradient(const Projection& on, const GraphView& graph, const GuardedMatrix& z,
                    int64_t hybrid_degree, GuardedMatrix grad_pre, bool has_bias = true) {
  const HostLanguage language = make_language(graph, z.view(), hybrid_degree);
  Parameters grad({z.view().cols, grad_pre.view().cols, has_bias});
  on.backward(language.view(), graph, grad_pre.view(), grad.gradient_view());
  CHECK(grad_pre.guards_untouched());
  CHECK(grad.guards_untouched());
  return grad;
}

}  // namespace

// docs/kernels/language_projection.md, "A small example"
TEST_CASE("language_projection: the example worked by hand", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("three users, two items", {{0, 1}, {}, {1}}, 2);
  GuardedMatrix z(2, 1), grad_pre(5, 2);
  z.view()(0, 0) = 2, z.view()(1, 0) = 6;
  Parameters parameters({1, 2});
  parameters.weight.view()(0, 0) = 3, parameters.weight.view()(1, 0) = -1;
  parameters.bias.view()(0, 0) = 1, parameters.bias.view()(0, 1) = 10;
  const float want[5][2] = {{13, 6}, {0, 0}, {19, 4}, {7, 8}, {19, 4}};
  const float grad_of[5][2] = {{2, 4}, {100, 100}, {1, 1}, {1, 0}, {3, -1}};
  for (int64_t n = 0; n < 5; ++n)
    for (int64_t o = 0; o < 2; ++o) grad_pre.view()(n, o) = grad_of[n][o];
  for (int64_t hybrid_degree : {int64_t{0}, int64_t{1}, kNobodyHeavy}) {
    CAPTURE(hybrid_degree);
    const GuardedMatrix pre = projected(on, graph.view(), z, hybrid_degree, parameters);
    for (int64_t n = 0; n < 5; ++n)
      for (int64_t o = 0; o < 2; ++o) CHECK(pre.view()(n, o) == want[n][o]);
    const Parameters grad = gradient(on, graph.view(), z, hybrid_degree, grad_pre);
    CHECK(grad.weight.view()(0, 0) == 34);
    CHECK(grad.weight.view()(1, 0) == 16);
    CHECK(grad.bias.view()(0, 0) == 7);
    CHECK(grad.bias.view()(0, 1) == 4);
  }
}

TEST_CASE("language_projection: equals projecting every node's own vector", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : graphs())
    for (Widths widths : kWidths) {
      std::mt19937_64 random(91);
      GuardedMatrix z(graph.view().items(), widths.language);
      z.fill_normal(random);
      Parameters parameters(widths);
      parameters.fill_normal(random);
      const Expected want = plain_projection(NodeVectors(graph.view(), z.view()),
                                             parameters.weight.view(), parameters.bias.view());
      for (int64_t hybrid_degree : kThresholds) {
        CAPTURE(graph.name, widths.language, widths.out, widths.has_bias, hybrid_degree);
        check(projected(on, graph.view(), z, hybrid_degree, parameters, widths.aligned).view(),
              want);
      }
    }
}

TEST_CASE("language_projection: backward equals the plain form's gradient", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : graphs())
    for (Widths widths : kWidths) {
      std::mt19937_64 random(92);
      GuardedMatrix z(graph.view().items(), widths.language);
      z.fill_normal(random);
      GuardedMatrix grad_pre = matrix(graph.view().nodes(), widths.out, widths.aligned);
      grad_pre.fill_normal(random);
      const NodeVectors vectors(graph.view(), z.view());
      const Expected weight = plain_weight_gradient(vectors, graph.view().users(), grad_pre.view());
      const Expected bias = plain_bias_gradient(vectors, graph.view().users(), grad_pre.view());
      for (int64_t hybrid_degree : kThresholds) {
        CAPTURE(graph.name, widths.language, widths.out, widths.has_bias, hybrid_degree);
        const Parameters grad =
            gradient(on, graph.view(), z, hybrid_degree, grad_pre, widths.has_bias);
        check(grad.weight.view(), weight);
        check(grad.bias.view(), bias);
      }
    }
}

// The projection is linear in its parameters, so along any direction V the derivative of <Y, pre>
// is <Y, P(V)>, and the gradient must give it: <Y, P(V)> = <P^T(Y), V>.
// First in double, then the kernel.
TEST_CASE("language_projection: backward is the transpose of forward", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : awkward_graphs())
    for (Widths widths : {Widths{33, 31}, Widths{64, 200}}) {
      std::mt19937_64 random(93);
      GuardedMatrix z(graph.view().items(), widths.language);
      z.fill_normal(random);
      GuardedMatrix y(graph.view().nodes(), widths.out);
      y.fill_normal(random);
      Parameters v(widths);
      v.fill_normal(random);
      const NodeVectors vectors(graph.view(), z.view());
      const Expected pre = plain_projection(vectors, v.weight.view(), v.bias.view());
      const Expected weight = plain_weight_gradient(vectors, graph.view().users(), y.view());
      const Expected bias = plain_bias_gradient(vectors, graph.view().users(), y.view());

      Sum forward, backward;
      for (int64_t n = 0; n < vectors.nodes(); ++n)
        for (int64_t o = 0; o < widths.out; ++o)
          forward.add(y.view()(n, o) * pre.value[size_t(n * widths.out + o)]);
      for (int64_t o = 0; o < widths.out; ++o) {
        backward.add(v.bias.view()(0, o) * bias.value[size_t(o)]);
        for (int64_t d = 0; d < widths.language; ++d)
          backward.add(v.weight.view()(o, d) * weight.value[size_t(o * widths.language + d)]);
      }
      CAPTURE(graph.name, widths.language, widths.out);
      // Every product of three factors is met once on either side, and added up in two sums.
      CHECK(std::abs(forward.value - backward.value) <=
            double(forward.terms + backward.terms) * std::numeric_limits<double>::epsilon() *
                (forward.magnitude + backward.magnitude));

      for (int64_t hybrid_degree : kThresholds) {
        CAPTURE(hybrid_degree);
        const GuardedMatrix got = projected(on, graph.view(), z, hybrid_degree, v);
        const Parameters grad = gradient(on, graph.view(), z, hybrid_degree, y);
        Product left, right;
        left.add(got.view(), pre, y.view());
        right.add(grad.weight.view(), weight, v.weight.view());
        right.add(grad.bias.view(), bias, v.bias.view());
        CHECK(std::abs(left.value - right.value) <= left.bound + right.bound);
      }
    }
}

TEST_CASE("language_projection: users without training items give 0 and take no part in gradients",
          "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("a user with nothing between two", {{0, 2}, {}, {1, 2}}, 4);
  std::mt19937_64 random(94);
  GuardedMatrix z(4, 33);
  z.fill_normal(random);
  Parameters parameters({33, 64});
  parameters.fill_normal(random);
  GuardedMatrix grad_pre(7, 64);
  grad_pre.fill_normal(random);
  GuardedMatrix other = grad_pre;
  for (int64_t o = 0; o < 64; ++o) other.view()(1, o) = std::numeric_limits<float>::quiet_NaN();
  for (int64_t hybrid_degree : {int64_t{0}, int64_t{1}, kNobodyHeavy}) {
    CAPTURE(hybrid_degree);
    const GuardedMatrix pre = projected(on, graph.view(), z, hybrid_degree, parameters);
    for (int64_t o = 0; o < 64; ++o) CHECK(pre.view()(1, o) == 0.0f);
    const Parameters grad = gradient(on, graph.view(), z, hybrid_degree, grad_pre);
    const Parameters same = gradient(on, graph.view(), z, hybrid_degree, other);
    CHECK(same_bits(same.weight.view(), grad.weight.view()));
    CHECK(same_bits(same.bias.view(), grad.bias.view()));
  }
}

TEST_CASE("language_projection: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  for (const HostGraph& graph : awkward_graphs())
    for (int64_t hybrid_degree : kThresholds) {
      CAPTURE(graph.name, hybrid_degree);
      std::mt19937_64 random(95);
      const Widths widths{33, 200};
      GuardedMatrix z(graph.view().items(), widths.language);
      z.fill_normal(random);
      Parameters parameters(widths);
      parameters.fill_normal(random);
      GuardedMatrix grad_pre(graph.view().nodes(), widths.out);
      grad_pre.fill_normal(random);
      const auto forward = [&](int threads) {
        const cpu::ThreadsInUse count(threads);
        return projected(kCpu, graph.view(), z, hybrid_degree, parameters);
      };
      const auto backward = [&](int threads) {
        const cpu::ThreadsInUse count(threads);
        return gradient(kCpu, graph.view(), z, hybrid_degree, grad_pre);
      };
      const GuardedMatrix one = forward(1);
      const Parameters grad = backward(1);
      for (int threads : {2, 3}) {
        CHECK(same_bits(forward(threads).view(), one.view()));
        const Parameters more = backward(threads);
        CHECK(same_bits(more.weight.view(), grad.weight.view()));
        CHECK(same_bits(more.bias.view(), grad.bias.view()));
      }
    }
}

TEST_CASE("language_projection: two runs have the same bits", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : awkward_graphs())
    for (int64_t hybrid_degree : {int64_t{2}, kNobodyHeavy}) {
      CAPTURE(graph.name, hybrid_degree);
      std::mt19937_64 random(97);
      GuardedMatrix z(graph.view().items(), 33);
      z.fill_normal(random);
      Parameters parameters({33, 70});
      parameters.fill_normal(random);
      GuardedMatrix grad_pre(graph.view().nodes(), 70);
      grad_pre.fill_normal(random);
      const auto forward = [&] {
        return projected(on, graph.view(), z, hybrid_degree, parameters);
      };
      const auto backward = [&] { return gradient(on, graph.view(), z, hybrid_degree, grad_pre); };
      CHECK(same_bits(forward().view(), forward().view()));
      const Parameters one = backward(), again = backward();
      CHECK(same_bits(again.weight.view(), one.weight.view()));
      CHECK(same_bits(again.bias.view(), one.bias.view()));
    }
}

TEST_CASE("language_projection: refuses shapes that do not match", "[kernels]") {
  const Projection on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("small", {{0, 1}, {1}}, 2);
  GuardedMatrix z(2, 5);
  std::mt19937_64 random(96);
  z.fill_normal(random);
  const HostLanguage language = make_language(graph.view(), z.view(), 1);
  const LanguageView right = language.view();
  const auto call = [&](const LanguageView& from, Widths widths, int64_t bias, int64_t rows,
                        int64_t cols) {
    Parameters parameters(widths);
    parameters.fill_normal(random);
    GuardedMatrix pre(rows, cols), grad_pre(rows, cols);
    grad_pre.fill_normal(random);
    Values<float> vector(static_cast<size_t>(bias));
    on.forward(from, graph.view(), {parameters.weight.view(), {vector.data(), bias}}, pre.view());
    on.backward(from, graph.view(), grad_pre.view(),
                {parameters.weight.view(), {vector.data(), bias}});
  };
  CHECK_NOTHROW(call(right, {5, 3}, 3, 4, 3));
  CHECK_NOTHROW(call(right, {5, 3}, 0, 4, 3));
  CHECK_THROWS_AS(call(right, {4, 3}, 3, 4, 3), std::invalid_argument);
  CHECK_THROWS_AS(call(right, {5, 3}, 2, 4, 3), std::invalid_argument);
  CHECK_THROWS_AS(call(right, {5, 3}, 3, 3, 3), std::invalid_argument);
  CHECK_THROWS_AS(call(right, {5, 3}, 3, 4, 4), std::invalid_argument);
  LanguageView wrong = right;
  wrong.item = right.item.rows_from(0, 1);
  CHECK_THROWS_AS(call(wrong, {5, 3}, 3, 4, 3), std::invalid_argument);
  wrong = right;
  wrong.heavy_user.size = 0;
  CHECK_THROWS_AS(call(wrong, {5, 3}, 3, 4, 3), std::invalid_argument);
  wrong = right;
  wrong.heavy = right.heavy.cols_from(0, 4);
  CHECK_THROWS_AS(call(wrong, {5, 3}, 3, 4, 3), std::invalid_argument);
  wrong = right;
  wrong.light_users_of_item.rows = 1;
  CHECK_THROWS_AS(call(wrong, {5, 3}, 3, 4, 3), std::invalid_argument);
}

namespace {

// mean_of_items and its adjoint: from, to.
using Gather = std::function<void(const GraphView&, MatrixView<const float>, MatrixView<float>)>;
struct MeanOfItems {
  std::string backend;
  Gather forward, adjoint;
};
const MeanOfItems kCpuMean{"cpu", cpu::mean_of_items, cpu::mean_of_items_adjoint};

std::vector<MeanOfItems> means_of_backends() {
  return on_backends<MeanOfItems>(
      [] { return kCpuMean; },
      [](auto) {
        return MeanOfItems {
#if defined(REC_CUDA)
          "cuda", on_device(cuda::mean_of_items),
              [](const GraphView& graph, MatrixView<const float> grad_out,
                 MatrixView<float> grad_x) {
                const int64_t bytes = cuda::mean_of_items_adjoint_scratch_bytes(graph.users());
                Values<std::byte> scratch(static_cast<size_t>(bytes));
                on_device(cuda::mean_of_items_adjoint)(graph, grad_out, grad_x,
                                                       {scratch.data(), bytes});
              }
#endif
        };
      });
}

constexpr int64_t kMeanWidths[] = {1, 31, 64, 65, 200};

// And with edges that repeat, and nobody at all.
std::vector<HostGraph> graphs_of_means() {
  std::vector<HostGraph> all = graphs();
  all.push_back(make_graph("edges that repeat", {{0, 0, 2}, {}, {2, 2, 2, 2}, {1}}, 4));
  all.push_back(make_graph("no users", {}, 3));
  return all;
}

GuardedMatrix gathered(const Gather& gather, const GraphView& graph, const GuardedMatrix& from,
                       int64_t rows, bool aligned = false) {
  GuardedMatrix to = matrix(rows, from.view().cols, aligned);
  gather(graph, from.view(), to.view());
  CHECK(to.guards_untouched());
  return to;
}

// One addition an item, then 1 / degree and the product with it.
Expected plain_mean_of_items(const GraphView& graph, MatrixView<const float> x) {
  Expected out(graph.users(), x.cols);
  for (int64_t u = 0; u < graph.users(); ++u) {
    const int64_t degree = graph.items_of_user.degree(u);
    for (int64_t c = 0; c < x.cols && degree > 0; ++c) {
      Sum sum;
      for (int64_t j = 0; j < degree; ++j)
        sum.add(x(graph.items_of_user.row(u)[j], c) / double(degree));
      out.set(u, c, sum.value, rounding_bound(degree + 2, sum.magnitude));
    }
  }
  return out;
}

// 1 / degree and the product with it, then one addition a user.
Expected plain_mean_of_items_adjoint(const GraphView& graph, MatrixView<const float> grad_out) {
  Expected grad_x(graph.items(), grad_out.cols);
  for (int64_t i = 0; i < graph.items(); ++i) {
    const int64_t users = graph.users_of_item.degree(i);
    for (int64_t c = 0; c < grad_out.cols; ++c) {
      Sum sum;
      for (int64_t j = 0; j < users; ++j) {
        const int32_t u = graph.users_of_item.row(i)[j];
        sum.add(grad_out(u, c) / double(graph.items_of_user.degree(u)));
      }
      grad_x.set(i, c, sum.value, rounding_bound(users + 2, sum.magnitude));
    }
  }
  return grad_x;
}

// Of one graph and width.
struct MeanCase {
  GuardedMatrix x, grad_out;

  MeanCase(const GraphView& graph, int64_t width, bool aligned = false)
      : x(matrix(graph.items(), width, aligned)), grad_out(matrix(graph.users(), width, aligned)) {
    std::mt19937_64 random(101);
    x.fill_normal(random);
    grad_out.fill_normal(random);
  }
};

}  // namespace

// docs/kernels/language_projection.md, "The gathers alone"
TEST_CASE("language_projection: means of items, worked by hand", "[kernels]") {
  const MeanOfItems on = GENERATE(from_range(means_of_backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("three users, two items", {{0, 1}, {}, {1}}, 2);
  MeanCase c(graph.view(), 1);
  c.x.view()(0, 0) = 2, c.x.view()(1, 0) = 6;
  for (int64_t u = 0; u < 3; ++u) c.grad_out.view()(u, 0) = float(10 * u + 10);
  const GuardedMatrix out = gathered(on.forward, graph.view(), c.x, 3);
  CHECK((out.view()(0, 0) == 4 && out.view()(1, 0) == 0 && out.view()(2, 0) == 6));
  const GuardedMatrix grad_x = gathered(on.adjoint, graph.view(), c.grad_out, 2);
  CHECK((grad_x.view()(0, 0) == 5 && grad_x.view()(1, 0) == 35));
}

TEST_CASE("language_projection: means of items and their adjoint, by plain loops", "[kernels]") {
  const MeanOfItems on = GENERATE(from_range(means_of_backends()));
  CAPTURE(on.backend);
  for (const HostGraph& host : graphs_of_means())
    for (int64_t width : kMeanWidths)
      for (bool aligned : {false, true}) {
        const GraphView graph = host.view();
        CAPTURE(host.name, width, aligned);
        const MeanCase c(graph, width, aligned);
        const Expected out = plain_mean_of_items(graph, c.x.view()),
                       grad_x = plain_mean_of_items_adjoint(graph, c.grad_out.view());
        const GuardedMatrix got = gathered(on.forward, graph, c.x, graph.users(), aligned),
                            got_grad =
                                gathered(on.adjoint, graph, c.grad_out, graph.items(), aligned);
        check(got.view(), out);
        check(got_grad.view(), grad_x);
        // <M x, g> = <x, M^T g>
        Product left, right;
        left.add(got.view(), out, c.grad_out.view());
        right.add(got_grad.view(), grad_x, c.x.view());
        CHECK(std::abs(left.value - right.value) <= left.bound + right.bound);
      }
}

TEST_CASE("language_projection: users without items take no part in means' gradients",
          "[kernels]") {
  const MeanOfItems on = GENERATE(from_range(means_of_backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("a user with nothing between two", {{0, 2}, {}, {1, 2}}, 4);
  MeanCase c(graph.view(), 33);
  const GuardedMatrix without = gathered(on.adjoint, graph.view(), c.grad_out, 4);
  for (int64_t d = 0; d < 33; ++d)
    c.grad_out.view()(1, d) = std::numeric_limits<float>::quiet_NaN();
  CHECK(same_bits(gathered(on.adjoint, graph.view(), c.grad_out, 4).view(), without.view()));
}

TEST_CASE("language_projection: means have the same bits with 1, 2 and 3 threads",
          "[kernels][threads]") {
  for (const HostGraph& host : graphs_of_means()) {
    const GraphView graph = host.view();
    CAPTURE(host.name);
    const MeanCase c(graph, 200);
    const auto run = [&](const Gather& gather, const GuardedMatrix& from, int64_t rows,
                         int threads) {
      const cpu::ThreadsInUse count(threads);
      return gathered(gather, graph, from, rows);
    };
    const GuardedMatrix one = run(kCpuMean.forward, c.x, graph.users(), 1),
                        grad = run(kCpuMean.adjoint, c.grad_out, graph.items(), 1);
    for (int threads : {2, 3}) {
      CHECK(same_bits(run(kCpuMean.forward, c.x, graph.users(), threads).view(), one.view()));
      CHECK(
          same_bits(run(kCpuMean.adjoint, c.grad_out, graph.items(), threads).view(), grad.view()));
    }
  }
}

TEST_CASE("language_projection: means of two runs have the same bits", "[kernels]") {
  const MeanOfItems on = GENERATE(from_range(means_of_backends()));
  CAPTURE(on.backend);
  for (const HostGraph& host : graphs_of_means()) {
    const GraphView graph = host.view();
    CAPTURE(host.name);
    const MeanCase c(graph, 70);
    const auto forward = [&] { return gathered(on.forward, graph, c.x, graph.users()); };
    const auto adjoint = [&] { return gathered(on.adjoint, graph, c.grad_out, graph.items()); };
    CHECK(same_bits(forward().view(), forward().view()));
    CHECK(same_bits(adjoint().view(), adjoint().view()));
  }
}

TEST_CASE("language_projection: means refuse shapes that do not match", "[kernels]") {
  const MeanOfItems on = GENERATE(from_range(means_of_backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("small", {{0, 1}, {1}, {}}, 2);
  const auto call = [&](const Gather& gather, int64_t rows, int64_t to_rows, int64_t to_cols) {
    GuardedMatrix from(rows, 5), to(to_rows, to_cols);
    std::mt19937_64 random(102);
    gather(graph.view(), from.fill_normal(random).view(), to.view());
  };
  CHECK_NOTHROW(call(on.forward, 2, 3, 5));
  CHECK_THROWS_AS(call(on.forward, 3, 3, 5), std::invalid_argument);
  CHECK_THROWS_AS(call(on.forward, 2, 2, 5), std::invalid_argument);
  CHECK_THROWS_AS(call(on.forward, 2, 3, 4), std::invalid_argument);
  CHECK_NOTHROW(call(on.adjoint, 3, 2, 5));
  CHECK_THROWS_AS(call(on.adjoint, 2, 2, 5), std::invalid_argument);
  CHECK_THROWS_AS(call(on.adjoint, 3, 3, 5), std::invalid_argument);
  CHECK_THROWS_AS(call(on.adjoint, 3, 2, 4), std::invalid_argument);
}

#if defined(REC_CUDA)
namespace {

using RoundedMatrix = GuardedMatrixOf<Bf16>;

template <class T>
GuardedMatrixOf<T> stored_matrix(int64_t rows, int64_t cols, bool aligned) {
  return aligned ? GuardedMatrixOf<T>::aligned(rows, cols) : GuardedMatrixOf<T>(rows, cols, 5);
}
double as_double(float x) { return x; }
double as_double(Bf16 x) { return to_float(x); }

// The error of a value after it has been stored as T.
template <class T>
double stored_error(double value, double error) {
  return std::is_same_v<T, Bf16> ? error + double(kBf16Rounding) * (std::abs(value) + error)
                                 : error;
}

// Language vectors stored as bfloat16: random ones, and the means of heavy users rounded.
struct RoundedLanguage {
  RoundedMatrix item, heavy;
  HostLanguage split;

  RoundedLanguage(const GraphView& graph, Widths widths, int64_t hybrid_degree,
                  std::mt19937_64& random)
      : item(stored_matrix<Bf16>(graph.items(), widths.language, widths.aligned)),
        heavy(0, 0),
        split(make_split(graph, hybrid_degree, random)) {
    heavy = stored_matrix<Bf16>(split.heavy.view().rows, widths.language, widths.aligned);
    for (int64_t h = 0; h < heavy.view().rows; ++h)
      for (int64_t d = 0; d < widths.language; ++d)
        heavy.view()(h, d) = to_bf16(split.heavy.view()(h, d));
  }
  LanguageViewOf<Bf16> view() const {
    const LanguageView all = split.view();
    return {item.view(), heavy.view(), all.heavy_user, all.light_user, all.light_users_of_item};
  }

 private:
  HostLanguage make_split(const GraphView& graph, int64_t hybrid_degree, std::mt19937_64& random) {
    item.fill_normal(random);
    GuardedMatrix exact(item.view().rows, item.view().cols);
    for (int64_t i = 0; i < item.view().rows; ++i)
      for (int64_t d = 0; d < item.view().cols; ++d)
        exact.view()(i, d) = to_float(item.view()(i, d));
    return make_language(graph, exact.view(), hybrid_degree);
  }
};

// The row of the product, and how far it may be off before it is stored.
void product_row(MatrixView<const Bf16> z, int64_t row, const RoundedMatrix& weight,
                 const std::vector<double>& bias, Expected& to, int64_t to_row) {
  for (int64_t o = 0; o < to.cols; ++o) {
    Sum sum;
    if (!bias.empty()) sum.add(bias[size_t(o)]);
    for (int64_t d = 0; d < z.cols; ++d)
      sum.add(as_double(weight.view()(o, d)) * as_double(z(row, d)));
    to.set(to_row, o, sum.value, rounding_bound(sum));
  }
}

// What the header says, of the operands as they are stored: T, each mean and each heavy row are
// rounded when they are stored.
template <class Pre>
Expected plain_rounded_projection(const GraphView& graph, const LanguageViewOf<Bf16>& z,
                                  const RoundedMatrix& weight, const std::vector<double>& bias) {
  const int64_t users = graph.users();
  Expected pre(graph.nodes(), weight.view().rows);
  const auto store = [&](int64_t row) {
    for (int64_t o = 0; o < pre.cols; ++o) {
      const size_t at = size_t(row * pre.cols + o);
      pre.bound[at] = stored_error<Pre>(pre.value[at], pre.bound[at]);
    }
  };
  for (int64_t i = 0; i < graph.items(); ++i) {
    product_row(z.item, i, weight, bias, pre, users + i);
    store(users + i);
  }
  for (int64_t h = 0; h < z.heavy.rows; ++h) {
    product_row(z.heavy, h, weight, bias, pre, z.heavy_user[h]);
    store(z.heavy_user[h]);
  }
  for (int32_t u : z.light_user) {
    const double degree = double(graph.items_of_user.degree(u));
    for (int64_t o = 0; o < pre.cols; ++o) {
      Sum sum;
      double error = 0;
      for (int64_t j = 0; j < graph.items_of_user.degree(u); ++j) {
        const size_t at = size_t((users + graph.items_of_user.row(u)[j]) * pre.cols + o);
        sum.add(pre.value[at]);
        error += pre.bound[at];
      }
      // One rounding an addition, two more for 1 / degree.
      pre.set(u, o, sum.value / degree,
              (error + rounding_bound(sum.terms + 2, sum.magnitude + error)) / degree);
    }
    store(u);
  }
  return pre;
}

template <class Pre>
void check_rounded_forward(const HostGraph& graph, Widths widths, int64_t hybrid_degree) {
  std::mt19937_64 random(98);
  const RoundedLanguage z(graph.view(), widths, hybrid_degree, random);
  auto weight = stored_matrix<Bf16>(widths.out, widths.language, widths.aligned);
  weight.fill_normal(random);
  Values<float> bias(widths.has_bias ? size_t(widths.out) : 0);
  std::normal_distribution<float> normal;
  for (float& b : bias) b = normal(random);
  std::vector<double> stored_bias(bias.begin(), bias.end());
  if (std::is_same_v<Pre, Bf16>)
    for (double& b : stored_bias) b = to_float(to_bf16(float(b)));
  auto pre = stored_matrix<Pre>(graph.view().nodes(), widths.out, widths.aligned);
  const LinearViewOf<Bf16> layer{weight.view(), {bias.data(), int64_t(bias.size())}};
  run_on_device<Pre>(cuda::project_language<Bf16, Pre>, z.view(), graph.view(), widths.out, layer,
                     pre.view());
  const Expected want = plain_rounded_projection<Pre>(graph.view(), z.view(), weight, stored_bias);
  Agreement agreement;
  for (int64_t r = 0; r < graph.view().nodes(); ++r)
    for (int64_t o = 0; o < widths.out; ++o) {
      const size_t at = size_t(r * widths.out + o);
      agreement.compare(as_double(pre.view()(r, o)), want.value[at], want.bound[at], "row ", r,
                        ", column ", o);
    }
  INFO(agreement.text());
  CHECK(agreement.holds());
  CHECK(pre.guards_untouched());
}

template <class Pre>
void check_rounded_backward(const HostGraph& graph, Widths widths, int64_t hybrid_degree) {
  const GraphView nodes = graph.view();
  std::mt19937_64 random(99);
  const RoundedLanguage language(nodes, widths, hybrid_degree, random);
  const LanguageViewOf<Bf16> z = language.view();
  auto grad_pre = stored_matrix<Pre>(nodes.nodes(), widths.out, widths.aligned);
  grad_pre.fill_normal(random);
  // G of the items, then the heavy users' rows, as the product and the bias take them.
  Expected g(nodes.items() + z.heavy.rows, widths.out);
  for (int64_t o = 0; o < widths.out; ++o) {
    for (int64_t i = 0; i < nodes.items(); ++i) {
      Sum sum;
      sum.add(as_double(grad_pre.view()(nodes.users() + i, o)));
      for (int64_t j = 0; j < z.light_users_of_item.degree(i); ++j) {
        const int32_t u = z.light_users_of_item.row(i)[j];
        sum.add(as_double(grad_pre.view()(u, o)) / double(nodes.items_of_user.degree(u)));
      }
      g.set(i, o, sum.value,
            stored_error<Bf16>(sum.value, rounding_bound(sum.terms + 2, sum.magnitude)));
    }
    for (int64_t h = 0; h < z.heavy.rows; ++h) {
      const double value = as_double(grad_pre.view()(z.heavy_user[h], o));
      g.set(nodes.items() + h, o, value,
            std::is_same_v<Pre, Bf16> ? 0 : stored_error<Bf16>(value, 0));
    }
  }
  Parameters grad({widths.language, widths.out, widths.has_bias});
  run_on_device<Pre>(cuda::project_language_backward<Bf16, Pre>, z, nodes, widths.out,
                     grad_pre.view(), grad.gradient_view());
  CHECK(grad_pre.guards_untouched());
  CHECK(grad.guards_untouched());
  Agreement agreement;
  for (int64_t o = 0; o < widths.out; ++o) {
    Sum bias;
    double bias_error = 0;
    for (int64_t r = 0; r < nodes.items() + z.heavy.rows; ++r) {
      bias.add(g.value[size_t(r * g.cols + o)]);
      bias_error += g.bound[size_t(r * g.cols + o)];
    }
    if (widths.has_bias)  // summed in double
      agreement.compare(grad.bias.view()(0, o), bias.value,
                        bias_error + rounding_bound(1, std::abs(bias.value) + bias_error), "bias ",
                        o);
    for (int64_t d = 0; d < widths.language; ++d) {
      Sum sum;
      double error = 0;
      for (int64_t r = 0; r < nodes.items() + z.heavy.rows; ++r) {
        const double x =
            as_double(r < nodes.items() ? z.item(r, d) : z.heavy(r - nodes.items(), d));
        sum.add(g.value[size_t(r * g.cols + o)] * x);
        error += g.bound[size_t(r * g.cols + o)] * std::abs(x);
      }
      agreement.compare(grad.weight.view()(o, d), sum.value,
                        error + rounding_bound(sum.terms, sum.magnitude + error), "weight ", o,
                        ", ", d);
    }
  }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

constexpr Widths kRoundedWidths[] = {
    {1, 1, true}, {33, 31, true}, {32, 132, true, true}, {8, 66, false, true}};

}  // namespace

TEST_CASE("language_projection: stored as bfloat16, forward", "[kernels]") {
  if (test_stream() == nullptr) return;
  for (const HostGraph& graph : graphs())
    for (Widths widths : kRoundedWidths)
      for (int64_t hybrid_degree : kThresholds) {
        CAPTURE(graph.name, widths.language, widths.out, widths.has_bias, hybrid_degree);
        check_rounded_forward<Bf16>(graph, widths, hybrid_degree);
        check_rounded_forward<float>(graph, widths, hybrid_degree);
      }
}

TEST_CASE("language_projection: stored as bfloat16, backward", "[kernels]") {
  if (test_stream() == nullptr) return;
  for (const HostGraph& graph : graphs())
    for (Widths widths : kRoundedWidths)
      for (int64_t hybrid_degree : kThresholds) {
        CAPTURE(graph.name, widths.language, widths.out, widths.has_bias, hybrid_degree);
        check_rounded_backward<Bf16>(graph, widths, hybrid_degree);
        check_rounded_backward<float>(graph, widths, hybrid_degree);
      }
}

// docs/kernels/language_projection.md: at D = 3072, and in proportion to it.
TEST_CASE("language_projection: a GEMM row is worth fewer edges where products are faster",
          "[kernels]") {
  CHECK(cuda::hybrid_degree(3072, Precision::fp32) == 153);
  CHECK(cuda::hybrid_degree(3072, Precision::tf32) == 21);
  CHECK(cuda::hybrid_degree(3072, Precision::bf16) == 24);
  CHECK(cuda::hybrid_degree(1536, Precision::bf16) == 12);
}
#endif

}  // namespace rec::test
