// normalisation against plain loops in double precision.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/threads.h"
#include "kernels/normalisation/normalisation.h"
#include "tests/support/agreement.h"
#include "tests/support/closeness.h"
#include "tests/support/guarded_matrix.h"
#include "tests/support/on_backends.h"

namespace rec::test {
namespace {

struct Normalisation {
  std::string backend;
  std::function<void(MatrixView<const float>, MatrixView<float>, VectorView<float>)> forward;
  std::function<void(MatrixView<const float>, VectorView<const float>, MatrixView<float>)> backward;
};
std::vector<Normalisation> backends() {
  return on_backends<Normalisation>(
      [] {
        return Normalisation{"cpu", cpu::normalise, cpu::normalise_backward};
      },
      [](auto) {
        return Normalisation{"cuda", on_device(cuda::normalise),
                             on_device(cuda::normalise_backward)};
      });
}

// Rows of every size that could go wrong, then ordinary ones.
constexpr float kRowScales[] = {0.0f, 1e-38f, 1e-20f, 1e-14f, 1e-11f, 1e-3f, 1.0f, 1e19f, 1e30f};
constexpr int64_t kRows = 24;

GuardedMatrix rows_of_all_sizes(int64_t dim, uint64_t seed, bool aligned = false) {
  std::mt19937_64 random(seed);
  GuardedMatrix e = aligned ? GuardedMatrix::aligned(kRows, dim) : GuardedMatrix(kRows, dim);
  e.fill_normal(random);
  for (int64_t r = 0; r < int64_t(std::size(kRowScales)); ++r)
    for (int64_t c = 0; c < dim; ++c) e.view()(r, c) *= kRowScales[r];
  return e;
}

double norm_of(MatrixView<const float> e, int64_t r) {
  double square = 0;
  for (int64_t c = 0; c < e.cols; ++c) square += double(e(r, c)) * e(r, c);
  return std::max(std::sqrt(square), double(kSmallestNorm));
}

}  // namespace

// docs/kernels/normalisation.md, "A small example"
TEST_CASE("normalisation: the example worked by hand", "[kernels]") {
  const Normalisation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  GuardedMatrix e(1, 2), n(1, 2), grad(1, 2);
  Values<float> norm(1);
  e.view()(0, 0) = 3, e.view()(0, 1) = 4;
  on.forward(e.view(), n.view(), {norm.data(), 1});
  CHECK(norm[0] == 5.0f);
  CHECK(n.view()(0, 0) == 0.6f);
  CHECK(n.view()(0, 1) == 0.8f);
  grad.view()(0, 0) = 5, grad.view()(0, 1) = 0;
  on.backward(n.view(), {norm.data(), 1}, grad.view());
  CHECK(grad.view()(0, 0) == Approx(0.64).epsilon(1e-6));
  CHECK(grad.view()(0, 1) == Approx(-0.48).epsilon(1e-6));
}

TEST_CASE("normalisation: matches plain sums, in place or not", "[kernels]") {
  const Normalisation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  for (int64_t dim : {1, 31, 32, 33, 64, 200}) {
    CAPTURE(dim, aligned);
    const GuardedMatrix e = rows_of_all_sizes(dim, 51, aligned);
    GuardedMatrix n = e, in_place = e;
    Values<float> norm(kRows, -1.0f), norm_in_place(kRows, -1.0f);
    on.forward(e.view(), n.view(), {norm.data(), kRows});
    on.forward(in_place.view(), in_place.view(), {norm_in_place.data(), kRows});
    CHECK(same_bits(n.view(), in_place.view()));
    CHECK(norm == norm_in_place);
    CHECK(n.guards_untouched());
    CHECK(in_place.guards_untouched());
    Agreement agreement;
    for (int64_t r = 0; r < kRows; ++r) {
      const double want = norm_of(e.view(), r);
      agreement.compare(norm[size_t(r)], want, rounding_bound(1, want), "norm of row ", r);
      for (int64_t c = 0; c < dim; ++c) {
        const double value = e.view()(r, c) / want;
        // Below the smallest normal float a quotient is rounded to a multiple of denorm_min.
        agreement.compare(
            n.view()(r, c), value,
            rounding_bound(1, std::abs(value)) + std::numeric_limits<float>::denorm_min(), "row ",
            r, ", column ", c);
      }
    }
    INFO(agreement.text());
    CHECK(agreement.holds());
  }
}

TEST_CASE("normalisation: backward matches the formula", "[kernels]") {
  const Normalisation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  const bool aligned = GENERATE(false, true);
  for (int64_t dim : {1, 31, 32, 33, 64, 200}) {
    CAPTURE(dim, aligned);
    const GuardedMatrix e = rows_of_all_sizes(dim, 52, aligned);
    GuardedMatrix n = e, grad = e;
    Values<float> norm(kRows);
    on.forward(e.view(), n.view(), {norm.data(), kRows});
    std::mt19937_64 random(53);
    grad.fill_normal(random);
    const GuardedMatrix grad_n = grad;
    on.backward(n.view(), {norm.data(), kRows}, grad.view());
    CHECK(grad.guards_untouched());
    Agreement agreement;
    for (int64_t r = 0; r < kRows; ++r) {
      const bool clamped = norm_of(e.view(), r) <= double(kSmallestNorm);
      Sum along;
      for (int64_t c = 0; c < dim && !clamped; ++c)
        along.add(double(n.view()(r, c)) * double(grad_n.view()(r, c)));
      for (int64_t c = 0; c < dim; ++c) {
        const double g = grad_n.view()(r, c), projected = n.view()(r, c) * along.value;
        // The dot product is taken in double, so only a handful of roundings are left.
        agreement.compare(grad.view()(r, c), (g - projected) / norm[size_t(r)],
                          rounding_bound(1, (std::abs(g) + std::abs(projected)) / norm[size_t(r)]),
                          "row ", r, ", column ", c);
      }
    }
    INFO(agreement.text());
    CHECK(agreement.holds());
  }
}

// The formula itself, in double: central differences of w . e / |e| along random directions.
TEST_CASE("normalisation: the formula is the derivative", "[kernels]") {
  std::mt19937_64 random(54);
  std::normal_distribution<double> normal(0.0, 1.0);
  for (int dim : {1, 2, 7}) {
    std::vector<double> e(static_cast<size_t>(dim)), w(e.size()), direction(e.size());
    for (size_t c = 0; c < e.size(); ++c)
      e[c] = normal(random), w[c] = normal(random), direction[c] = normal(random);
    const auto value = [&](double t) {
      double square = 0, dot = 0;
      for (size_t c = 0; c < e.size(); ++c) {
        const double moved = e[c] + t * direction[c];
        square += moved * moved;
        dot += w[c] * moved;
      }
      return dot / std::sqrt(square);
    };
    const auto central = [&](double h) { return (value(h) - value(-h)) / (2 * h); };
    double square = 0, along = 0;
    for (size_t c = 0; c < e.size(); ++c) square += e[c] * e[c];
    for (size_t c = 0; c < e.size(); ++c) along += w[c] * e[c] / std::sqrt(square);
    double slope = 0;
    for (size_t c = 0; c < e.size(); ++c)
      slope += (w[c] - e[c] / std::sqrt(square) * along) / std::sqrt(square) * direction[c];
    const double h = 1e-4, coarse = central(h), fine = central(h / 2);
    CHECK(std::abs(slope - (4 * fine - coarse) / 3) <= std::abs(fine - coarse) + 1e-15 / h * 16);
  }
}

TEST_CASE("normalisation: same bits with 1, 2 and 3 threads", "[kernels][threads]") {
  const GuardedMatrix e = rows_of_all_sizes(33, 55);
  const auto run = [&](int threads, GuardedMatrix& n, GuardedMatrix& grad) {
    const cpu::ThreadsInUse count(threads);
    Values<float> norm(kRows);
    cpu::normalise(e.view(), n.view(), {norm.data(), kRows});
    std::mt19937_64 random(56);
    grad.fill_normal(random);
    cpu::normalise_backward(n.view(), {norm.data(), kRows}, grad.view());
  };
  GuardedMatrix n(kRows, 33), grad(kRows, 33);
  run(1, n, grad);
  for (int threads : {2, 3}) {
    GuardedMatrix more_n(kRows, 33), more_grad(kRows, 33);
    run(threads, more_n, more_grad);
    CHECK(same_bits(more_n.view(), n.view()));
    CHECK(same_bits(more_grad.view(), grad.view()));
  }
}

TEST_CASE("normalisation: refuses shapes that do not match", "[kernels]") {
  const Normalisation on = GENERATE(from_range(backends()));
  CAPTURE(on.backend);
  GuardedMatrix e(3, 4), narrow(3, 5);
  Values<float> norm(3);
  CHECK_THROWS_AS(on.forward(e.view(), narrow.view(), {norm.data(), 3}), std::invalid_argument);
  CHECK_THROWS_AS(on.forward(e.view(), e.view(), {norm.data(), 2}), std::invalid_argument);
  CHECK_THROWS_AS(on.backward(e.view(), {norm.data(), 3}, narrow.view()), std::invalid_argument);
}

}  // namespace rec::test
