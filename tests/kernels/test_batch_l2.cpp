// batch_l2 against plain loops in double precision.
#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/batch_l2/batch_l2.h"
#include "kernels/common/threads.h"
#include "tests/support/agreement.h"
#include "tests/support/batches.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct BatchL2 {
  std::string backend;
  std::function<void(MatrixView<const float>, const BatchView&, float, MatrixView<float>,
                     VectorView<double>, double*)>
      add;

  double run(MatrixView<const float> x, HostBatch& batch, float weight,
             MatrixView<float> grad) const {
    Values<double> loss = {0.25}, node_loss(size_t(x.rows), -1e300);
    end_memory_behind(loss, node_loss);
    add(x, batch.view(), weight, grad, {node_loss.data(), x.rows}, loss.data());
    return loss[0] - 0.25;
  }
};
std::vector<BatchL2> backends() {
  return on_backends<BatchL2>(
      [] {
        return BatchL2{
            "cpu", [](auto x, auto& batch, float weight, auto grad, auto node_loss, double* loss) {
              *loss += cpu::batch_l2(x, batch, weight, grad, node_loss);
            }};
      },
      [](auto) {
        return BatchL2{"cuda", on_device(cuda::batch_l2)};
      });
}

GuardedMatrix table_of(const HostBatch& batch, int64_t dim, bool aligned, uint64_t seed) {
  std::mt19937_64 random(seed);
  const int64_t nodes = batch.users + batch.items;
  GuardedMatrix x = aligned ? GuardedMatrix::aligned(nodes, dim) : GuardedMatrix(nodes, dim);
  return x.fill_normal(random);
}

}  // namespace

// docs/kernels/batch_l2.md, "A small example"
TEST_CASE("batch_l2: the example worked by hand", "[kernels]") {
  const BatchL2 on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = make_batch("hand", 2, 3, 1, {1, 1}, {0, 0}, {2, 0});
  GuardedMatrix x(5, 2), grad(5, 2);
  for (int64_t v = 0; v < 5; ++v)
    for (int64_t c = 0; c < 2; ++c) x.view()(v, c) = float(v + c), grad.view()(v, c) = 1;
  // User 1 is taken twice, item 0 three times, item 2 once; weight / B = 0.25.
  const double loss = on.run(x.view(), batch, 0.5f, grad.view());
  CHECK(loss == 0.25 / 2 * (2 * (1 + 4) + 3 * (4 + 9) + 1 * (16 + 25)));
  const float want[5][2] = {{1, 1}, {1.5f, 2}, {2.5f, 3.25f}, {1, 1}, {2, 2.25f}};
  for (int64_t v = 0; v < 5; ++v)
    for (int64_t c = 0; c < 2; ++c) CHECK(grad.view()(v, c) == want[v][c]);
}

TEST_CASE("batch_l2: matches plain sums, and leaves other rows alone", "[kernels]") {
  const BatchL2 on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  constexpr float kWeight = 0.37f;
  for (int64_t dim : {1, 31, 32, 33, 64, 200}) {
    HostBatch few = random_batch("few users and items", 3, 4, 40, 2, 61);
    HostBatch many = random_batch("many of them", 90, 70, 20, 1, 62);
    for (HostBatch* batch : {&few, &many}) {
      CAPTURE(dim, aligned, batch->name);
      const GuardedMatrix x = table_of(*batch, dim, aligned, 63);
      const GuardedMatrix before = table_of(*batch, dim, aligned, 64);
      GuardedMatrix grad = before;
      const double got = on.run(x.view(), *batch, kWeight, grad.view());
      CHECK(grad.guards_untouched());
      std::vector<int64_t> taken(size_t(x.view().rows), 0);
      for (int64_t b = 0; b < batch->rows(); ++b) {
        ++taken[size_t(batch->user[size_t(b)])];
        for (int64_t slot = 0; slot <= batch->negatives; ++slot)
          ++taken[size_t(batch->users + batch->item_of(b, slot))];
      }
      Agreement agreement;
      double loss = 0;
      int64_t untouched = 0;
      for (int64_t v = 0; v < x.view().rows; ++v) {
        const double scale = double(kWeight) * double(taken[size_t(v)]) / double(batch->rows());
        untouched += taken[size_t(v)] == 0;
        for (int64_t c = 0; c < dim; ++c) {
          const double value = x.view()(v, c), old = before.view()(v, c);
          loss += 0.5 * scale * value * value;
          agreement.compare(grad.view()(v, c), old + scale * value,
                            taken[size_t(v)] == 0
                                ? 0.0
                                : rounding_bound(1, std::abs(old) + std::abs(scale * value)),
                            "node ", v, ", column ", c);
        }
      }
      INFO(agreement.text());
      CHECK(agreement.holds());
      CHECK((batch == &few) == (untouched == 0));
      // Every term is positive and added in double.
      const double terms = double(x.view().rows) * double(dim + 4);
      CHECK(std::abs(got - loss) <= terms * std::numeric_limits<double>::epsilon() * (loss + 0.25));
    }
  }
}

TEST_CASE("batch_l2: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  HostBatch batch = random_batch("threads", 40, 50, 60, 3, 65);
  const GuardedMatrix x = table_of(batch, 33, false, 66);
  const auto run = [&](int threads, GuardedMatrix& grad) {
    const cpu::ThreadsInUse count(threads);
    Values<double> node_loss(90);
    return cpu::batch_l2(x.view(), batch.view(), 0.1f, grad.view(), {node_loss.data(), 90});
  };
  GuardedMatrix grad = x;
  const double loss = run(1, grad);
  for (int threads : {2, 3}) {
    GuardedMatrix more = x;
    CHECK(run(threads, more) == loss);
    CHECK(same_bits(more.view(), grad.view()));
  }
}

TEST_CASE("batch_l2: refuses shapes that do not match", "[kernels]") {
  const BatchL2 on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  HostBatch batch = random_batch("shapes", 3, 4, 5, 1, 67);
  GuardedMatrix x(7, 2), few(6, 2), wide(7, 3);
  CHECK_THROWS_AS(on.run(few.view(), batch, 0.1f, few.view()), std::invalid_argument);
  CHECK_THROWS_AS(on.run(x.view(), batch, 0.1f, wide.view()), std::invalid_argument);
  CHECK_THROWS_AS(on.run(x.view(), batch, -0.1f, x.view()), std::invalid_argument);
}

}  // namespace rec::test
