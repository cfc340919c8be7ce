// Single operations on arrays of the caller's, against plain double-precision loops
// (tests/support/plain_model.h); gradients against differences of the plain losses.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/operations.h"
#include "engine/projector.h"
#include "tests/support/agreement.h"
#include "tests/support/backend_memory.h"
#include "tests/support/counting_backend.h"
#include "tests/support/on_backends.h"
#include "tests/support/plain_model.h"
#include "tests/support/private_memory_backend.h"
#include "tests/support/small_data.h"

namespace rec::test {
namespace {

constexpr int64_t kDim = 5;

std::vector<float> normal_values(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<double> in_double(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

Rows rows_of(const std::vector<double>& values, int64_t cols) {
  Rows rows;
  for (size_t first = 0; first < values.size(); first += size_t(cols))
    rows.emplace_back(values.begin() + ptrdiff_t(first), values.begin() + ptrdiff_t(first) + cols);
  return rows;
}

std::vector<double> flat(const Rows& rows) {
  std::vector<double> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return values;
}

// Every value within the array's bound, and error[i] where it is given.
void check_array(const std::vector<float>& got, const std::vector<double>& want,
                 const std::vector<double>& error = {}) {
  REQUIRE(got.size() == want.size());
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  Agreement agreement;
  for (size_t i = 0; i < want.size(); ++i)
    agreement.compare(got[i], want[i], kArrayBound * largest + (error.empty() ? 0 : error[i]),
                      "value ", i);
  INFO(agreement.text());
  CHECK(agreement.holds());
}

// d f / d x by central differences with the h^2 term removed, and how far each may be off: the h^2
// term's own size, and the rounding of f in double.
struct Derivative {
  std::vector<double> value, error;

  Derivative(const std::function<double(const std::vector<double>&)>& f, std::vector<double> x) {
    constexpr double kStep = 1e-5;
    const double at = f(x);
    for (double& moved : x) {
      const double here = moved;
      const auto central = [&](double h) {
        moved = here + h;
        const double up = f(x);
        moved = here - h;
        const double down = f(x);
        moved = here;
        return (up - down) / (2 * h);
      };
      const double wide = central(kStep), narrow = central(kStep / 2);
      value.push_back(narrow + (narrow - wide) / 3);
      error.push_back(std::abs(narrow - wide) +
                      1000 * std::numeric_limits<double>::epsilon() * std::abs(at) / kStep);
    }
  }
};

struct LossCase {
  const char* name;
  BatchLossSettings settings;
};
const LossCase kLosses[] = {
    {"InfoNCE of cosines", {Objective::infonce, 0.2f, Score::cosine}},
    {"InfoNCE of dot products", {Objective::infonce, 0.7f, Score::dot}},
    {"BPR of cosines", {Objective::bpr, 0, Score::cosine}},
    {"BPR of dot products", {Objective::bpr, 0, Score::dot}},
};

HostBatch batch_for(const LossCase& c, int64_t rows = 9) {
  const int64_t negatives = c.settings.kind == Objective::bpr ? 1 : 4;
  return random_batch("operations", 12, 10, rows, negatives, 141);
}

// A batch in a backend's memory.
struct DeviceIds {
  Array<int32_t> user, positive;
  Matrix<int32_t> negative;

  DeviceIds(Backend& backend, HostBatch batch)
      : user(backend, batch.user.data(), batch.rows()),
        positive(backend, batch.positive.data(), batch.rows()),
        negative(backend,
                 MatrixView<const int32_t>(batch.negative.data(), batch.rows(), batch.negatives)) {}
  BatchIds view() const { return {user.view(), positive.view(), negative.view()}; }
};

// e, users then items, with a row for the loss and gradients.
struct LossArrays {
  Backend& backend;
  int64_t users;
  Matrix<float> e, grad;
  Array<double> loss;

  LossArrays(Backend& on, const std::vector<float>& host, int64_t user_rows)
      : backend(on),
        users(user_rows),
        e(backend, MatrixView<const float>(host.data(), int64_t(host.size()) / kDim, kDim)),
        grad(backend, MatrixView<const float>(host.data(), e.rows(), kDim)),  // to be overwritten
        loss(backend, 1) {}

  void run(BatchLoss& on, const DeviceIds& ids) {
    const int64_t items = e.rows() - users;
    const double zero = 0;
    backend.upload(loss.data(), &zero, sizeof zero);
    on.differentiate(e.view().rows_from(0, users), e.view().rows_from(users, items), ids.view(),
                     grad.view().rows_from(0, users), grad.view().rows_from(users, items),
                     loss.data());
  }
};

// Everything that the operations make of small data on a backend.
std::vector<double> outcome(Backend& backend) {
  std::vector<double> all;
  const auto keep = [&](const auto& values) {
    all.insert(all.end(), values.begin(), values.end());
  };
  const SmallData data = small_data(142);
  const Graph graph(backend, data.train.view());
  const std::vector<float> host = normal_values(graph.nodes() * kDim, 143);
  for (const LossCase& c : kLosses) {
    LossArrays arrays(backend, host, graph.users());
    BatchLoss loss(backend, c.settings);
    arrays.run(loss, DeviceIds(backend, batch_for(c)));
    keep(arrays.grad.to_host(backend));
    keep(arrays.loss.to_host(backend));
  }
  const Matrix<float> x(backend, MatrixView<const float>(host.data(), graph.nodes(), kDim));
  Matrix<float> e(backend, graph.nodes(), kDim), grad(backend, graph.nodes(), kDim);
  const auto users = [&](const Matrix<float>& m) { return m.view().rows_from(0, graph.users()); };
  const auto items = [&](const Matrix<float>& m) {
    return m.view().rows_from(graph.users(), graph.items());
  };
  propagate(backend, graph, 2, x.view(), e.view());
  keep(e.to_host(backend));
  mean_of_items(backend, graph, items(x), users(grad));
  mean_of_items_adjoint(backend, graph, users(x), items(grad));
  keep(grad.to_host(backend));
  return all;
}

// Weights and biases of the caller's own, and their gradients.
struct OwnProjector {
  ProjectorShape shape;
  std::vector<ParameterInfo> table;
  std::vector<float> value;  // one after another, as the table has them
  std::vector<Matrix<float>> weight, grad_weight;
  std::vector<Array<float>> bias, grad_bias;

  OwnProjector(Backend& backend, const ProjectorShape& of, int64_t language_width)
      : shape(of), table(projector_table(of, language_width)) {
    for (ParameterInfo& p : table) {
      p.offset = int64_t(value.size());
      const std::vector<float> host = normal_values(p.size(), 144 + uint64_t(p.offset));
      value.insert(value.end(), host.begin(), host.end());
      if (p.cols > 0) {
        weight.emplace_back(backend, MatrixView<const float>(host.data(), p.rows, p.cols));
        grad_weight.emplace_back(backend, MatrixView<const float>(host.data(), p.rows, p.cols));
      } else {
        bias.emplace_back(backend, host);
        grad_bias.emplace_back(backend, host);
      }
    }
  }
  ProjectorView view() const {
    ProjectorView all;
    all.layers = shape.layers;
    for (size_t l = 0; l < weight.size(); ++l) {
      all.layer[l].weight = MatrixView<const float>(weight[l].view());
      if (shape.bias) all.layer[l].bias = bias[l].view();
    }
    return all;
  }
  ProjectorGradientView gradient_view() const {
    ProjectorGradientView all;
    for (size_t l = 0; l < weight.size(); ++l) {
      all.layer[l].weight = grad_weight[l].view();
      if (shape.bias) all.layer[l].bias = grad_bias[l].view();
    }
    return all;
  }
  // Of the table's tensors.
  std::vector<std::vector<float>> gradient(Backend& backend) const {
    std::vector<std::vector<float>> tensors;
    for (size_t l = 0; l < weight.size(); ++l) {
      tensors.push_back(grad_weight[l].to_host(backend));
      if (shape.bias) tensors.push_back(grad_bias[l].to_host(backend));
    }
    return tensors;
  }
};

const ProjectorShape kProjectors[] = {{1, 0, kDim, false},
                                      {1, 0, kDim, true},
                                      {2, 7, kDim, true},
                                      {3, 6, kDim, false},
                                      {4, 6, kDim, true}};

}  // namespace

TEST_CASE("operations: the loss of a batch and its gradients, as plain loops have them",
          "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const auto backend = make_backend(device, 2).backend;
  const Lists users(12);
  const std::vector<float> e = normal_values(22 * kDim, 145);
  for (const LossCase& c : kLosses) {
    CAPTURE(c.name);
    const HostBatch batch = batch_for(c);
    const auto plain = [&](const std::vector<double>& values) {
      return plain_loss({c.settings.kind, c.settings.tau}, c.settings.score, rows_of(values, kDim),
                        users, batch);
    };
    LossArrays arrays(*backend, e, 12);
    BatchLoss loss(*backend, c.settings);
    arrays.run(loss, DeviceIds(*backend, batch));
    const double want = plain(in_double(e));
    CHECK(std::abs(arrays.loss.to_host(*backend)[0] - want) <= kArrayBound * want);
    const Derivative derivative(plain, in_double(e));
    check_array(arrays.grad.to_host(*backend), derivative.value, derivative.error);
  }
}

TEST_CASE("operations: a loss keeps its memory while the shapes stay, and serves others too",
          "[engine]") {
  const std::vector<float> e = normal_values(22 * kDim, 146);
  for (const LossCase& c : kLosses) {
    CAPTURE(c.name);
    CountingBackend backend(make_backend("cpu", 2).backend);
    LossArrays arrays(backend, e, 12), fresh = LossArrays(backend, e, 12);
    BatchLoss loss(backend, c.settings);
    const DeviceIds nine(backend, batch_for(c)), four(backend, batch_for(c, 4));
    arrays.run(loss, nine);
    const std::vector<float> grad = arrays.grad.to_host(backend);
    const int64_t allocations = backend.allocations();
    arrays.run(loss, nine);
    CHECK(backend.allocations() == allocations);
    CHECK(arrays.grad.to_host(backend) == grad);

    arrays.run(loss, four);
    const int64_t items = fresh.e.rows() - fresh.users;
    batch_loss(backend, c.settings, fresh.e.view().rows_from(0, 12),
               fresh.e.view().rows_from(12, items), four.view(), fresh.grad.view().rows_from(0, 12),
               fresh.grad.view().rows_from(12, items), fresh.loss.data());
    CHECK(arrays.grad.to_host(backend) == fresh.grad.to_host(backend));
    CHECK(arrays.loss.to_host(backend) == fresh.loss.to_host(backend));
  }
}

TEST_CASE("operations: dot products copy no representations", "[engine]") {
  const auto bytes = [](const LossCase& c) {
    CountingBackend backend(make_backend("cpu", 1).backend);
    LossArrays arrays(backend, normal_values(22 * kDim, 147), 12);
    const DeviceIds ids(backend, batch_for(c));
    BatchLoss loss(backend, c.settings);
    const int64_t before = backend.bytes();
    arrays.run(loss, ids);
    return backend.bytes() - before;
  };
  CHECK(bytes(kLosses[0]) - bytes(kLosses[1]) == int64_t{sizeof(float)} * 22 * (kDim + 1));
}

TEST_CASE("operations: propagation over a graph", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const auto backend = make_backend(device, 2).backend;
  const SmallData data = small_data(148);
  const Graph graph(*backend, data.train.view());
  const std::vector<float> host = normal_values(graph.nodes() * kDim, 149);
  const Matrix<float> x(*backend, MatrixView<const float>(host.data(), graph.nodes(), kDim));
  Matrix<float> e(*backend, graph.nodes(), kDim);
  for (int layers : {0, 1, 2, 3}) {
    CAPTURE(layers);
    propagate(*backend, graph, layers, x.view(), e.view());
    check_array(e.to_host(*backend),
                flat(plain_mean(plain_layers(data.lists, rows_of(in_double(host), kDim), layers))));
  }
}

TEST_CASE("operations: the mean of items and its adjoint", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const auto backend = make_backend(device, 2).backend;
  const SmallData data = small_data(150);
  const Graph graph(*backend, data.train.view());
  const int64_t users = graph.users(), items = graph.items();
  const std::vector<float> x = normal_values(items * kDim, 151),
                           g = normal_values(users * kDim, 152);
  Rows means(size_t(users), std::vector<double>(size_t(kDim), 0.0)),
      shares(size_t(items), std::vector<double>(size_t(kDim), 0.0));
  for (size_t u = 0; u < data.lists.size(); ++u)
    for (int32_t i : data.lists[u])
      for (size_t c = 0; c < size_t(kDim); ++c) {
        const double degree = double(data.lists[u].size());
        means[u][c] += x[size_t(i * kDim) + c] / degree;
        shares[size_t(i)][c] += g[u * size_t(kDim) + c] / degree;
      }
  Matrix<float> out(*backend, users, kDim), grad_x(*backend, items, kDim);
  mean_of_items(*backend, graph,
                Matrix<float>(*backend, MatrixView<const float>(x.data(), items, kDim)).view(),
                out.view());
  mean_of_items_adjoint(
      *backend, graph,
      Matrix<float>(*backend, MatrixView<const float>(g.data(), users, kDim)).view(),
      grad_x.view());
  check_array(out.to_host(*backend), flat(means));
  check_array(grad_x.to_host(*backend), flat(shares));
}

TEST_CASE("operations: a projector of the caller's parameters, and their gradient", "[engine]") {
  const std::string device = GENERATE(from_range(test_devices()));
  CAPTURE(device);
  const auto backend = make_backend(device, 2).backend;
  const SmallData data = small_data(153);
  const Graph graph(*backend, data.train.view());
  const LanguageVectors z(*backend, data.language(), data.train.view());
  const std::vector<float> g = normal_values(graph.nodes() * kDim, 154);
  for (const ProjectorShape& shape : kProjectors) {
    CAPTURE(shape.layers, shape.bias);
    const OwnProjector own(*backend, shape, data.width);
    const auto plain = [&](const std::vector<double>& p) {
      return flat(plain_e0(data.lists, data.language_rows(), shape, own.table, p));
    };
    NodeProjector projector(*backend, graph, z, shape);
    Matrix<float> e0(*backend, graph.nodes(), kDim);
    projector.forward(own.view(), e0.view());
    check_array(e0.to_host(*backend), plain(in_double(own.value)));

    Matrix<float> grad_e0(*backend, MatrixView<const float>(g.data(), graph.nodes(), kDim));
    projector.adjoint(own.view(), grad_e0.view(), own.gradient_view());
    const Derivative derivative(
        [&](const std::vector<double>& p) {
          const std::vector<double> e = plain(p);
          double sum = 0;
          for (size_t i = 0; i < e.size(); ++i) sum += g[i] * e[i];
          return sum;
        },
        in_double(own.value));
    const std::vector<std::vector<float>> grad = own.gradient(*backend);
    for (size_t t = 0; t < own.table.size(); ++t) {
      const ParameterInfo& p = own.table[t];
      const auto of_tensor = [&](const std::vector<double>& all) {
        return std::vector<double>(all.begin() + p.offset, all.begin() + p.offset + p.size());
      };
      CAPTURE(p.name);
      check_array(grad[t], of_tensor(derivative.value), of_tensor(derivative.error));
    }
  }
}

TEST_CASE("operations: nothing outside a backend touches its memory", "[engine]") {
  PrivateMemoryBackend closed(make_backend("cpu", 2).backend);
  CHECK(outcome(closed) == outcome(*make_backend("cpu", 2).backend));
}

TEST_CASE("operations: the same bits with 1, 2 and 3 threads", "[engine][threads]") {
  const std::vector<double> one = outcome(*make_backend("cpu", 1).backend);
  for (int threads : {2, 3}) CHECK(outcome(*make_backend("cpu", threads).backend) == one);
}

TEST_CASE("operations: refuse what does not fit", "[engine]") {
  const auto backend = make_backend("cpu", 1).backend;
  for (Objective kind : {Objective::softmax, Objective::inbatch})
    CHECK_THROWS_WITH(BatchLoss(*backend, {kind, 0.2f, Score::dot}),
                      Catch::Contains("infonce or bpr"));
  LossArrays arrays(*backend, normal_values(22 * kDim, 155), 12);
  BatchLoss bpr(*backend, kLosses[2].settings);
  CHECK_THROWS_WITH(arrays.run(bpr, DeviceIds(*backend, batch_for(kLosses[0]))),
                    Catch::Contains("one negative"));
  BatchLoss infonce(*backend, kLosses[0].settings);
  CHECK_THROWS_WITH(arrays.run(infonce, DeviceIds(*backend, random_batch("", 12, 10, 0, 4, 1))),
                    Catch::Contains("at least one row"));

  const SmallData data = small_data(156);
  const Graph graph(*backend, data.train.view());
  const LanguageVectors z(*backend, data.language(), data.train.view());
  CHECK_THROWS_WITH(NodeProjector(*backend, graph, z, {5, 7, kDim, true}),
                    Catch::Contains("1 to 4"));
  NodeProjector two(*backend, graph, z, {2, 7, kDim, true});
  const OwnProjector three(*backend, {3, 7, kDim, true}, data.width);
  Matrix<float> e0(*backend, graph.nodes(), kDim);
  CHECK_THROWS_WITH(two.forward(three.view(), e0.view()), Catch::Contains("number of layers"));
  CHECK_THROWS_WITH(two.adjoint(three.view(), e0.view(), three.gradient_view()),
                    Catch::Contains("number of layers"));
}

}  // namespace rec::test
