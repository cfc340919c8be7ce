// propagation against plain sums over edges in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/propagation/propagation.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/graphs.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct Propagation {
  std::string backend;
  std::function<void(const GraphView&, int, const PropagationUsers&, MatrixView<const float>,
                     MatrixView<float>, MatrixView<float>)>
      run;
};
std::vector<Propagation> backends() {
  return on_backends<Propagation>(
      [] {
        return Propagation{"cpu", cpu::propagate};
      },
      [](auto) {
        return Propagation{"cuda", on_device(cuda::propagate)};
      });
}

// y = A~ x for one column, over all nodes. terms: how many roundings a path to each node has met.
void hop(const GraphView& graph, std::vector<double>& column, std::vector<int64_t>& terms) {
  std::vector<double> sum(column.size(), 0.0);
  std::vector<int64_t> longest(terms.size(), 0);
  for (int64_t u = 0; u < graph.users(); ++u)
    for (int64_t e = graph.items_of_user.row_start[u]; e < graph.items_of_user.row_start[u + 1];
         ++e) {
      const size_t user = size_t(u), item = size_t(graph.users() + graph.items_of_user.col[e]);
      const double edge =
          double(graph.user_scale[u]) * graph.item_scale[graph.items_of_user.col[e]];
      sum[user] += edge * column[item];
      sum[item] += edge * column[user];
      longest[user] = std::max(longest[user], terms[item]);
      longest[item] = std::max(longest[item], terms[user]);
    }
  for (int64_t n = 0; n < graph.nodes(); ++n) {
    const int64_t degree = n < graph.users() ? graph.items_of_user.degree(n)
                                             : graph.users_of_item.degree(n - graph.users());
    terms[size_t(n)] = longest[size_t(n)] + degree + 3;  // degree additions, three scalings
  }
  column = sum;
}

// One column of the mean over layers, with the same of |x| for the bound.
struct Expected {
  std::vector<double> value, magnitude;
  std::vector<int64_t> terms;
};
Expected plain_propagation(const GraphView& graph, int layers, MatrixView<const float> x,
                           int64_t c) {
  const size_t nodes = size_t(graph.nodes());
  std::vector<double> layer(nodes), magnitude(nodes);
  for (size_t n = 0; n < nodes; ++n) layer[n] = x(int64_t(n), c), magnitude[n] = std::abs(layer[n]);
  std::vector<int64_t> terms(nodes, 0), same_terms = terms;
  Expected sum{layer, magnitude, std::vector<int64_t>(nodes, 0)};
  for (int k = 0; k < layers; ++k) {
    hop(graph, layer, terms);
    hop(graph, magnitude, same_terms);
    for (size_t n = 0; n < nodes; ++n) {
      sum.value[n] += layer[n];
      sum.magnitude[n] += magnitude[n];
      sum.terms[n] = std::max(sum.terms[n], terms[n]) + 1;
    }
  }
  for (size_t n = 0; n < nodes; ++n) {
    sum.value[n] /= layers + 1;
    sum.magnitude[n] /= layers + 1;
    sum.terms[n] += 2;  // 1 / (K + 1) and the product with it
  }
  return sum;
}

GuardedMatrix propagated(const Propagation& on, const HostGraph& graph, int layers,
                         const GuardedMatrix& x, bool aligned = false,
                         const PropagationUsers& users = {}) {
  const int64_t nodes = graph.view().nodes(), dim = x.view().cols;
  const int64_t scratch_rows = layers == 0 ? 0 : 2 * nodes;
  GuardedMatrix e = aligned ? GuardedMatrix::aligned(nodes, dim) : GuardedMatrix(nodes, dim, 5);
  GuardedMatrix scratch =
      aligned ? GuardedMatrix::aligned(scratch_rows, dim) : GuardedMatrix(scratch_rows, dim, 1);
  on.run(graph.view(), layers, users, x.view(), scratch.view(), e.view());
  CHECK(e.guards_untouched());
  CHECK(scratch.guards_untouched());
  return e;
}

GuardedMatrix normal_rows(int64_t rows, int64_t cols, uint64_t seed, bool aligned = false) {
  std::mt19937_64 random(seed);
  GuardedMatrix x = aligned ? GuardedMatrix::aligned(rows, cols) : GuardedMatrix(rows, cols);
  x.fill_normal(random);
  return x;
}

void check_plain(const Propagation& on, const HostGraph& graph, int layers, int64_t dim,
                 bool aligned) {
  CAPTURE(graph.name, dim, layers, aligned);
  const GuardedMatrix x = normal_rows(graph.view().nodes(), dim, 61, aligned);
  const GuardedMatrix e = propagated(on, graph, layers, x, aligned);
  Agreement agreement;
  for (int64_t c = 0; c < dim; c += std::max<int64_t>(1, dim / 7)) {
    const Expected want = plain_propagation(graph.view(), layers, x.view(), c);
    for (size_t n = 0; n < want.value.size(); ++n)
      agreement.compare(e.view()(int64_t(n), c), want.value[n],
                        rounding_bound(want.terms[n], want.magnitude[n]), "node ", n, ", column ",
                        c);
  }
  INFO(agreement.text());
  CHECK(agreement.holds());
}

// Items with so many users each; the first user has them all.
HostGraph items_of_degrees(const std::vector<int64_t>& degrees) {
  std::vector<std::vector<int32_t>> lists(
      size_t(*std::max_element(degrees.begin(), degrees.end())));
  for (size_t i = 0; i < degrees.size(); ++i)
    for (int64_t u = 0; u < degrees[i]; ++u) lists[size_t(u)].push_back(int32_t(i));
  return make_graph("items of chosen degrees", lists, int64_t(degrees.size()));
}

}  // namespace

// docs/kernels/propagation.md, "A small example"
TEST_CASE("propagation: the example worked by hand", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph star = make_graph("one user, four items", {{0, 1, 2, 3}}, 4);
  const float x_of[] = {4, 1, 2, 3, 6};
  GuardedMatrix x(5, 1);
  for (int64_t n = 0; n < 5; ++n) x.view()(n, 0) = x_of[n];
  const float one_layer[] = {5, 1.5f, 2, 2.5f, 4};
  const double two_layers[] = {14.0 / 3, 2, 7.0 / 3, 8.0 / 3, 11.0 / 3};
  const GuardedMatrix k0 = propagated(on, star, 0, x), k1 = propagated(on, star, 1, x),
                      k2 = propagated(on, star, 2, x);
  for (int64_t n = 0; n < 5; ++n) {
    CHECK(k0.view()(n, 0) == x_of[n]);
    CHECK(k1.view()(n, 0) == one_layer[n]);
    CHECK(std::abs(k2.view()(n, 0) - two_layers[n]) <= rounding_bound(1, two_layers[n]));
  }
}

TEST_CASE("propagation: matches plain sums over edges", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  const std::vector<int64_t> dims = aligned ? std::vector<int64_t>{2, 6, 32, 64, 200}
                                            : std::vector<int64_t>{1, 31, 32, 33, 64, 65, 200};
  for (const HostGraph& graph : awkward_graphs())
    for (int64_t dim : dims)
      for (int layers : {0, 1, 2, 3}) {
        if (on.backend == "cuda" && layers == (dim == 64 ? 3 : 2)) continue;
        check_plain(on, graph, layers, dim, aligned);
      }
}

// Where a CUDA kernel changes its ways, and where its groups of lanes and blocks end.
TEST_CASE("propagation: rows of any number of neighbours", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph graph = items_of_degrees({1,   2,   3,   4,   5,   7,    8,    9,    31,  32,
                                            33,  63,  64,  65,  255, 256,  257,  258,  511, 512,
                                            513, 900, 257, 300, 0,   1023, 1024, 1025, 256, 2049});
  for (int64_t dim : {1, 12, 20, 64}) check_plain(on, graph, 2, dim, true);
  for (int64_t dim : {3, 13}) check_plain(on, graph, 2, dim, false);
}

TEST_CASE("propagation: the same bits again, and the CPU's values", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : awkward_graphs()) {
    CAPTURE(graph.name);
    const GuardedMatrix x = normal_rows(graph.view().nodes(), 36, 64, true);
    const GuardedMatrix e = propagated(on, graph, 2, x, true);
    CHECK(same_bits(propagated(on, graph, 2, x, true).view(), e.view()));
    const GuardedMatrix on_cpu = propagated({"cpu", cpu::propagate}, graph, 2, x);
    Agreement agreement;
    for (int64_t c = 0; c < 36; c += 5) {
      const Expected want = plain_propagation(graph.view(), 2, x.view(), c);
      for (size_t n = 0; n < want.value.size(); ++n)
        agreement.compare(e.view()(int64_t(n), c), on_cpu.view()(int64_t(n), c),
                          2 * rounding_bound(want.terms[n], want.magnitude[n]), "node ", n,
                          ", column ", c);
    }
    INFO(agreement.text());
    CHECK(agreement.holds());
  }
}

// What training leaves out. Forward: of users outside the batch, the last layer. Backward: reads of
// their gradients, which are zero (here: not a number, where the first hop must not look).
TEST_CASE("propagation: of a batch's users, the bits that everyone's have", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  std::mt19937_64 random(66);
  std::vector<HostGraph> graphs = awkward_graphs();
  graphs.push_back(items_of_degrees({1, 3, 64, 255, 256, 257, 300, 0, 700}));
  for (const HostGraph& graph : graphs) {
    const int64_t users = graph.view().users();
    std::vector<int64_t> row_start{0};
    for (int64_t u = 0; u < users; ++u)
      row_start.push_back(row_start.back() + (random() % 3 == 0 ? 1 + int64_t(random() % 2) : 0));
    const UserSubset batch{{row_start.data(), users + 1}};
    for (int64_t dim : {5, 64})
      for (int layers : {1, 2, 3}) {
        CAPTURE(graph.name, dim, layers);
        const GuardedMatrix x = normal_rows(graph.view().nodes(), dim, 67, dim == 64);
        const GuardedMatrix full = propagated(on, graph, layers, x, dim == 64);
        const GuardedMatrix part =
            propagated(on, graph, layers, x, dim == 64, {.nonzero = {}, .wanted = batch});
        const GuardedMatrix before = propagated(on, graph, layers - 1, x, dim == 64);
        Agreement left_out;
        bool same = true;
        for (int64_t n = 0; n < graph.view().nodes(); ++n) {
          if (n >= users || batch.has(n)) {
            same = same && same_bits(full.view().rows_from(n, 1), part.view().rows_from(n, 1));
            continue;
          }
          for (int64_t c = 0; c < dim; ++c)
            left_out.compare(part.view()(n, c), double(before.view()(n, c)) * layers / (layers + 1),
                             rounding_bound(3, std::abs(before.view()(n, c))), "user ", n,
                             ", column ", c);
        }
        CHECK(same);
        INFO(left_out.text());
        CHECK(left_out.holds());

        GuardedMatrix zero = normal_rows(graph.view().nodes(), dim, 68, dim == 64);
        GuardedMatrix poison = normal_rows(graph.view().nodes(), dim, 68, dim == 64);
        for (int64_t u = 0; u < users; ++u) {
          if (batch.has(u)) continue;
          std::fill_n(zero.view().row(u), dim, 0.0f);
          std::fill_n(poison.view().row(u), dim, std::numeric_limits<float>::quiet_NaN());
        }
        const PropagationUsers nonzero{.nonzero = batch, .wanted = {}};
        CHECK(same_bits(propagated(on, graph, layers, zero, dim == 64, nonzero).view(),
                        propagated(on, graph, layers, zero, dim == 64).view()));
        if (layers > 1) continue;  // a second hop reads what the first made of a user's own row
        const int64_t items = graph.view().items();
        CHECK(same_bits(
            propagated(on, graph, 1, poison, dim == 64, nonzero).view().rows_from(users, items),
            propagated(on, graph, 1, zero, dim == 64).view().rows_from(users, items)));
      }
  }
}

// <P x, y> = <x, P y>: what lets the backward pass call the same function.
TEST_CASE("propagation: is its own transpose", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  for (const HostGraph& graph : awkward_graphs())
    for (int layers : {1, 2, 3}) {
      CAPTURE(graph.name, layers);
      const int64_t nodes = graph.view().nodes();
      const GuardedMatrix x = normal_rows(nodes, 1, 62), y = normal_rows(nodes, 1, 65);
      const GuardedMatrix px = propagated(on, graph, layers, x),
                          py = propagated(on, graph, layers, y);
      const Expected x_paths = plain_propagation(graph.view(), layers, x.view(), 0);
      const Expected y_paths = plain_propagation(graph.view(), layers, y.view(), 0);
      double left = 0, right = 0, bound = 0;
      for (int64_t n = 0; n < nodes; ++n) {
        const size_t at = size_t(n);
        left += double(px.view()(n, 0)) * y.view()(n, 0);
        right += double(x.view()(n, 0)) * py.view()(n, 0);
        bound +=
            rounding_bound(x_paths.terms[at], x_paths.magnitude[at]) * std::abs(y.view()(n, 0)) +
            rounding_bound(y_paths.terms[at], y_paths.magnitude[at]) * std::abs(x.view()(n, 0));
      }
      CHECK(std::abs(left - right) <= bound);
    }
}

TEST_CASE("propagation: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  for (const HostGraph& graph : awkward_graphs()) {
    CAPTURE(graph.name);
    const GuardedMatrix x = normal_rows(graph.view().nodes(), 33, 63);
    const auto run = [&](int threads) {
      const cpu::ThreadsInUse count(threads);
      return propagated({"cpu", cpu::propagate}, graph, 2, x);
    };
    const GuardedMatrix one = run(1);
    for (int threads : {2, 3}) CHECK(same_bits(run(threads).view(), one.view()));
  }
}

TEST_CASE("propagation: refuses shapes that do not match", "[kernels]") {
  const Propagation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const HostGraph graph = make_graph("small", {{0}, {1}}, 2);
  GuardedMatrix x(4, 3), e(4, 3), scratch(8, 3), narrow(4, 2), few(3, 3), little(7, 3);
  const auto call = [&](int layers, GuardedMatrix& from, GuardedMatrix& work, GuardedMatrix& to) {
    on.run(graph.view(), layers, {}, from.view(), work.view(), to.view());
  };
  CHECK_NOTHROW(call(2, x, scratch, e));
  CHECK_THROWS_AS(call(-1, x, scratch, e), std::invalid_argument);
  CHECK_THROWS_AS(call(2, few, scratch, e), std::invalid_argument);
  CHECK_THROWS_AS(call(2, x, scratch, narrow), std::invalid_argument);
  CHECK_THROWS_AS(call(2, x, little, e), std::invalid_argument);
  const int64_t start_of_one[] = {0, 1};
  const UserSubset one_user{{start_of_one, 2}};
  for (const PropagationUsers& users : {PropagationUsers{.nonzero = one_user, .wanted = {}},
                                        PropagationUsers{.nonzero = {}, .wanted = one_user}})
    CHECK_THROWS_AS(on.run(graph.view(), 2, users, x.view(), scratch.view(), e.view()),
                    std::invalid_argument);
}

}  // namespace rec::test
